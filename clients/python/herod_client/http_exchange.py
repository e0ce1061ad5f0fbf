"""One request and its answer as bytes, without I/O: what the sync and the async transport have in common."""

import re
from collections.abc import Callable
from typing import Final

from herod_client.addresses import Address
from herod_client.client_errors import InvalidInput
from herod_client.connection_diagnosis import cut_off, endless, no_http
from herod_client.http_messages import Request, Response, host_of, parse_retry_after
from herod_client.response_parser import NotHttp, ResponseParser, Truncated

__all__ = ["MAX_ANSWER", "AnswerReader", "Sink", "SinkError", "encode_request"]

MAX_ANSWER: Final = 16 * 1024 * 1024  # a page of 200 rows is far smaller

Sink = Callable[[bytes], object]

_PATH: Final = re.compile(r"/[\x21-\x7e]*")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]*")


class SinkError(Exception):
    """The sink of an answer failed, as opposed to the connection."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


def encode_request(asked: Request, address: Address) -> bytes:
    """The request as it is sent.

    Raises:
        InvalidInput: the path or a header would break the request apart; nothing was sent.
    """
    if not _PATH.fullmatch(asked.path):
        raise InvalidInput("The path is not one of a URL.", hint="begin it with / and percent-encode it")
    fields = {"Host": host_of(address), **asked.headers}
    if asked.body is not None or asked.method == "POST":
        fields["Content-Length"] = str(len(asked.body or b""))
    if not all(_VALUE.fullmatch(value) for value in fields.values()):
        raise InvalidInput("A header's value holds a character that no header can hold.", hint="write it in ASCII")
    lines = (f"{asked.method} {asked.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", "")
    return "\r\n".join(lines).encode("ascii") + (asked.body or b"")


class AnswerReader:
    """Collects one answer, or passes it on to a sink.

    Args:
        address: whose answer it is.
        method: of the request.
        sink: gets the body of a successful answer piece by piece, of any length.
    """

    def __init__(self, address: Address, method: str, sink: Sink | None = None) -> None:
        self._address = address
        self._sink = sink
        self._parser = ResponseParser(is_head=method == "HEAD")
        self._body = bytearray()

    @property
    def is_complete(self) -> bool:
        """Whether the answer has ended."""
        return self._parser.is_complete

    @property
    def keeps_alive(self) -> bool:
        """Whether the answer has ended, and its connection can be used again."""
        return self._parser.keeps_alive

    def receive(self, data: bytes) -> None:
        """Take the bytes that were received; none mean that the connection has ended.

        Raises:
            Unreachable: it has ended too early.
            BadAnswer: the answer is not HTTP, or too large.
            SinkError: the sink has failed.
        """
        try:
            if not data:
                self._parser.end()
                return
            piece = self._parser.feed(data)
        except NotHttp as error:
            raise no_http(self._address) from error
        except Truncated as error:
            raise cut_off(self._address) from error
        if self._sink is None or self._parser.status >= 300:
            self._body += piece
            if len(self._body) > MAX_ANSWER:
                raise endless(self._address)
        elif piece:
            try:
                self._sink(piece)
            except OSError as error:
                raise SinkError(error) from error

    def answer(self) -> Response:
        """The answer, once it is complete."""
        retry_after = self._parser.fields.get(b"retry-after")
        return Response(
            self._parser.status,
            self._parser.content_type,
            bytes(self._body),
            parse_retry_after(None if retry_after is None else retry_after.decode("latin-1")),
        )
