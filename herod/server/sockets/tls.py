"""TLS over a socket, and its certificate.

The transport drives OpenSSL over memory itself, as trio's SSLStream does, for three things that the stream does not
offer: a refused client gets the alert that says why, bytes that were read but not yet decrypted count as input, and
close_notify is sent without waiting for the peer's.

Must never send a byte of a response unencrypted, nor wait without being cancellable.
"""

import contextlib
import logging
import os
import ssl
from codecs import BOM_UTF8
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from herod.input_files import open_regular
from herod.protocols.http import SECURITY_HEADERS
from herod.protocols.responses import JSON_HEADERS
from herod.server.sockets.socket_byte_stream import SocketTransport
from herod_client.core.errors import SettingsError

__all__ = ["Certificates", "TlsTransport"]

_log = logging.getLogger(__name__)

_MAX_FILE: Final = 1024 * 1024  # of a certificate chain
_READ_BYTES: Final = 16 * 1024  # the most in one record (RFC 8446, section 5.1)
_SLICE_BYTES: Final = 16 * 1024  # so much is encrypted at a time, to bound the memory
_DRAINED_BYTES: Final = 64 * 1024
# Forward secrecy and authenticated encryption only (RFC 9325, section 4.2.1); TLS 1.3 has no other ciphers.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_PLAIN_HTTP: Final = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST"})
# The only response that is ever sent unencrypted.
_USE_HTTPS: Final = b'{"error":{"code":"invalid_request","message":"this address requires TLS: use https://"}}'
_SAY_SO: Final = b"HTTP/1.1 400 Bad Request\r\n%bContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
    b"".join(f"{name}: {value}\r\n".encode() for name, value in (*JSON_HEADERS, *SECURITY_HEADERS)),
    len(_USE_HTTPS),
    _USE_HTTPS,
)


class Certificates:
    """The certificate and key of the TCP addresses; each handshake uses the current ones.

    Attributes:
        context: the TLS context of new connections.
        ends_at: when the certificate expires, in Unix seconds; None if its dates cannot be read.
    """

    def __init__(self, context: ssl.SSLContext, ends_at: int | None = None) -> None:
        self.context = context
        self.ends_at = ends_at

    @classmethod
    def load(cls, certificate: Path, key: Path, *, now: int) -> "Certificates":
        """Load a certificate chain and its private key; warn if the certificate is not valid now.

        Raises:
            SettingsError: a file cannot be read or is not PEM, or the two do not match.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE
        # No tickets: a client that closes without reading them would have its connection reset.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        context.set_alpn_protocols(["http/1.1"])
        try:
            with _opened(certificate) as shown, _opened(key) as hidden:
                # By descriptor: OpenSSL would wait for the writer of a pipe, and look the names up again.
                context.load_cert_chain(f"/proc/self/fd/{shown}", f"/proc/self/fd/{hidden}", password=_no_password)
                ends_at = _check_dates(certificate, os.pread(shown, _MAX_FILE, 0), now)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise SettingsError(
                    f"tls_key: {key} does not match the certificate {certificate}: give a matching pair."
                ) from None
            raise SettingsError(
                f"tls_cert, tls_key: {certificate} and {key} are not a certificate and a key "
                f"({error.reason or 'not PEM'}): give PEM files."
            ) from None
        except OSError as error:
            raise SettingsError(f"tls_cert, tls_key: cannot read {certificate} or {key}: {error.strerror}.") from None
        return cls(context, ends_at)

    def replace(self, other: "Certificates") -> None:
        """Use another certificate for new connections; existing ones keep theirs."""
        self.context, self.ends_at = other.context, other.ends_at


def _no_password() -> str:
    """An empty password, so that OpenSSL does not prompt for one."""
    return ""


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[int]:
    """The file's text in memory, without a byte order mark, which OpenSSL takes for a part of the first line."""
    with os.fdopen(open_regular(file), "rb") as named:
        content = named.read(_MAX_FILE)
    with os.fdopen(os.memfd_create("herod-pem", os.MFD_CLOEXEC), "wb") as copy:
        copy.write(content.removeprefix(BOM_UTF8))
        copy.flush()
        yield copy.fileno()


def _check_dates(certificate: Path, content: bytes, now: int) -> int | None:
    """When the certificate expires, in Unix seconds; logs a warning if it is not valid now."""
    from cryptography import x509  # only needed with TLS

    try:
        shown = x509.load_pem_x509_certificate(content)
    except ValueError as error:  # it is stricter than OpenSSL, which has accepted the file
        _log.warning("tls_cert: %s: its dates cannot be read: %s", certificate, error)
        return None
    moment = datetime.fromtimestamp(now, UTC)
    if moment >= shown.not_valid_after_utc:
        _log.warning("tls_cert: %s expired on %s: renew it", certificate, shown.not_valid_after_utc.date())
    elif moment < shown.not_valid_before_utc:
        _log.warning("tls_cert: %s is not valid before %s", certificate, shown.not_valid_before_utc.date())
    return int(shown.not_valid_after_utc.timestamp())


class TlsTransport:
    """A `Transport` that sends TLS records over another one."""

    def __init__(self, raw: SocketTransport, context: ssl.SSLContext) -> None:
        self._raw = raw
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._may_announce = False  # close_notify is not sent before the handshake or in the middle of a record
        self._is_finished = False

    async def begin(self) -> None:
        """Do the handshake.

        Raises:
            OSError: the client does not speak TLS, or none that herod accepts; the reason was sent to it.
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
        """Wait for bytes; return b"" at the end of input.

        An end without close_notify counts too: HTTP's own framing shows whether a request is complete.
        """
        if self._is_finished:
            return await self._raw.receive()  # only to be dropped
        while True:
            try:
                return self._tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                await self._flush()  # a key update needs a response
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
        """Close the sending direction."""
        self._is_finished = True
        self._announce_close()
        await self._flush()
        self._may_announce = False
        await self._raw.finish_sending()

    def has_input(self) -> bool:
        """Whether bytes have arrived that were not received yet."""
        return self._tls.pending() > 0 or self._incoming.pending > 0 or self._raw.has_input()

    def has_left(self) -> bool:
        """Whether the peer has closed its sending direction; most programs that do have disconnected."""
        return self._raw.has_left()

    def abort(self) -> None:
        """Discard unsent bytes at the next close; call `close` after it."""
        self._may_announce = False
        self._raw.abort()

    def close(self) -> None:
        """Send close_notify, if the kernel takes it at once, and close the descriptor."""
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
        left = _DRAINED_BYTES  # or closing would reset the connection before the client has read the response
        while left > 0 and (data := await self._raw.receive()):
            left -= len(data)

    def _announce_close(self) -> None:
        with contextlib.suppress(ssl.SSLError):  # the peer has not sent its own; do not wait for it
            self._tls.unwrap()

    async def _feed(self) -> bool:
        """Wait for records; False at the end of input."""
        data = await self._raw.receive()
        self._incoming.write(data)
        return bool(data)

    async def _flush(self) -> None:
        """Send the bytes that OpenSSL has written."""
        if self._outgoing.pending:
            self._may_announce = False
            await self._raw.send(self._outgoing.read())
            self._may_announce = True
