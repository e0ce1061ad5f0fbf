"""TLS above a socket, and the certificate it shows.

The wire drives OpenSSL over memory itself, as trio's SSLStream does, for three things that the stream keeps to itself:
a refused client is sent the alert that says why, what was read and not yet decrypted counts as input, and the close
is announced (close_notify) without waiting for the other side's.

Must never send a byte of an answer in the clear, nor wait without being cancellable.
"""

import contextlib
import logging
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from herod.server.sockets.socket_byte_stream import SocketTransport
from herod_client.core.errors import SettingsError

__all__ = ["Certificates", "TlsTransport"]

_log = logging.getLogger(__name__)

_READ_BYTES: Final = 16 * 1024  # a record holds no more (RFC 8446, section 5.1)
_SLICE_BYTES: Final = 16 * 1024  # so much at a time is held encrypted besides
_DRAINED_BYTES: Final = 64 * 1024
# Forward secrecy and authenticated encryption only (RFC 9325, section 4.2.1); TLS 1.3 has nothing else.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_PLAIN_HTTP: Final = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST"})
# All that may ever be said in the clear.
_USE_HTTPS: Final = b'{"error":{"code":"invalid_request","message":"this address speaks TLS: ask with https://"}}'
_SAY_SO: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
    % (len(_USE_HTTPS), _USE_HTTPS)
)


class Certificates:
    """The certificate and key of the TCP addresses; the next handshake uses what is there now.

    Attributes:
        context: what new connections are made with.
        ends_at: when the certificate ends, in Unix seconds; None where its dates cannot be read.
    """

    def __init__(self, context: ssl.SSLContext, ends_at: int | None = None) -> None:
        self.context = context
        self.ends_at = ends_at

    @classmethod
    def load(cls, certificate: Path, key: Path, *, now: int) -> "Certificates":
        """Read a certificate chain and its private key. One that is not valid at this time is warned of.

        Raises:
            SettingsError: a file cannot be read, is no PEM, or the two do not belong together.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
        # No tickets: a client that leaves without reading them would have its connection reset.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise SettingsError(f"tls_key: {key} does not belong to {certificate}: give the pair.") from None
            raise SettingsError(
                f"tls_cert, tls_key: {certificate} and {key} are no certificate and key ({error.reason or 'not PEM'}): "
                "give PEM files."
            ) from None
        except OSError as error:
            raise SettingsError(f"tls_cert, tls_key: cannot read {certificate} or {key}: {error.strerror}.") from None
        return cls(context, _check_dates(certificate, now))

    def replace(self, other: "Certificates") -> None:
        """Show another certificate from now on; connections that stand keep theirs."""
        self.context, self.ends_at = other.context, other.ends_at


def _no_password() -> str:
    """OpenSSL would ask at the terminal."""
    return ""


def _check_dates(certificate: Path, now: int) -> int | None:
    """When it ends; one that is not valid now is warned of."""
    from cryptography import x509  # without TLS nobody needs it

    try:
        shown = x509.load_pem_x509_certificate(certificate.read_bytes())
    except ValueError as error:  # it is stricter than OpenSSL, which has taken the file and will show it
        _log.warning("tls_cert: %s: its dates cannot be read: %s", certificate, error)
        return None
    moment = datetime.fromtimestamp(now, UTC)
    if moment >= shown.not_valid_after_utc:
        _log.warning("tls_cert: %s expired on %s: renew it", certificate, shown.not_valid_after_utc.date())
    elif moment < shown.not_valid_before_utc:
        _log.warning("tls_cert: %s is not valid before %s", certificate, shown.not_valid_before_utc.date())
    return int(shown.not_valid_after_utc.timestamp())


class TlsTransport:
    """A `Transport` whose bytes are TLS records on another one."""

    def __init__(self, raw: SocketTransport, context: ssl.SSLContext) -> None:
        self._raw = raw
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._may_announce = False  # that it closes: not before the handshake, nor in the middle of a record
        self._is_finished = False

    async def begin(self) -> None:
        """Shake hands.

        Raises:
            OSError: the client does not speak TLS, or not with us; it was told why.
        """
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                if not await self._feed():
                    raise ConnectionAbortedError from None
            except ssl.SSLError as error:
                await self._turn_away(error)
                raise
            else:
                await self._flush()
                return

    async def receive(self) -> bytes:
        """Wait for bytes; none at the end of input.

        An end that was not announced counts as one: HTTP's own framing says whether a request is whole.
        """
        if self._is_finished:
            return await self._raw.receive()  # only to be dropped
        while True:
            try:
                return self._tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                await self._flush()  # a key update wants its answer
                if not await self._feed():
                    return b""
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError:
                await self._flush()  # the alert
                raise

    async def send(self, data: bytes, shared: bytes = b"") -> None:
        """Send all of both."""
        for whole in (data, shared):
            with memoryview(whole) as view:
                for start in range(0, len(view), _SLICE_BYTES):
                    part = view[start : start + _SLICE_BYTES]
                    while part:
                        part = part[self._tls.write(part) :]
                    await self._flush()

    async def finish_sending(self) -> None:
        """Tell the other side that nothing more comes."""
        self._is_finished = True
        self._announce_close()
        await self._flush()
        self._may_announce = False
        await self._raw.finish_sending()

    def has_input(self) -> bool:
        """Whether bytes have come that were not received yet."""
        return self._tls.pending() > 0 or self._incoming.pending > 0 or self._raw.has_input()

    def has_left(self) -> bool:
        """Whether the other side will send no more; most programs that say so are gone."""
        return self._raw.has_left()

    def abort(self) -> None:
        """Throw away what was sent and is still on its way; to be closed after it."""
        self._may_announce = False
        self._raw.abort()

    def close(self) -> None:
        """Announce the close, if the kernel takes that at once, and give the descriptor back."""
        if self._may_announce:
            self._announce_close()
            with contextlib.suppress(OSError):
                self._raw.send_now(self._outgoing.read())
        self._raw.close()

    async def _turn_away(self, error: ssl.SSLError) -> None:
        if error.reason not in _PLAIN_HTTP:
            await self._flush()  # the alert
            return
        await self._raw.send(_SAY_SO)
        await self._raw.finish_sending()
        left = _DRAINED_BYTES  # or closing would reset the connection before the client has read why
        while left > 0 and (data := await self._raw.receive()):
            left -= len(data)

    def _announce_close(self) -> None:
        with contextlib.suppress(ssl.SSLError):  # the other side has not announced its own; none is waited for
            self._tls.unwrap()

    async def _feed(self) -> bool:
        """Wait for records; False at the end of input."""
        data = await self._raw.receive()
        self._incoming.write(data)
        return bool(data)

    async def _flush(self) -> None:
        """Send what OpenSSL has written."""
        if self._outgoing.pending:
            self._may_announce = False
            await self._raw.send(self._outgoing.read())
            self._may_announce = True
