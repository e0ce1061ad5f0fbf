"""Structured logs on standard logging: text for a terminal, one JSON object a line for a journal.

Must never write a body, a query, a credential or a Referer: a record's extra fields are an allow-list, and
control characters are escaped so that nothing logged can forge a line or control a terminal. Must never wait
for the reader of the log: lines go through a bounded queue to a thread, and when that is full they are
dropped and counted.
"""

import atexit
import json
import logging
import os
import queue
import re
import select
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal

__all__ = ["FIELDS", "LEVELS", "LogFormat", "LogWriter", "log_answer", "set_up_logging", "shown_path"]

LogFormat = Literal["text", "json"]

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

# The only extras of a record that are written. `event` has its own place.
FIELDS: Final = (
    "method",
    "path",
    "status",
    "ms",
    "source",
    "code",
    "reason",
    "operation",
    "principal",
    "listener",
    "count",
    "kind",
    "id",
    "seq",
    "actor",
    "outcome",
    "target",
    "by_admin",
    "mac",
)
_PATH_CHARACTERS: Final = 200
_SEGMENT_CHARACTERS: Final = 16
_LONG_SEGMENT: Final = re.compile(r"([^/]{8})[^/]{9,}")
_MESSAGE_CHARACTERS: Final = 4_000
_TRACE_CHARACTERS: Final = 16_000
_QUEUE_RECORDS: Final = 10_000
_CLOSE_SECONDS: Final = 2.0

# C0, DEL, C1, line and paragraph separators, direction marks and overrides, surrogates.
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

_access = logging.getLogger("herod.access")
_own = logging.getLogger(__name__)
_traceback_formatter = logging.Formatter()


def log_answer(*, method: str, path: str, status: int, seconds: float, source: str) -> None:
    """Write one line of the access log. `path` comes without its query."""
    if _access.isEnabledFor(logging.INFO):
        extra = {
            "event": "request",
            "method": method,
            "path": shown_path(path),
            "status": status,
            "ms": round(seconds * 1000, 3),
            "source": source,
        }
        # Logger.info would walk the stack for a caller that is always this one.
        _access.handle(_access.makeRecord(_access.name, logging.INFO, "", 0, "", (), None, extra=extra))


def shown_path(path: str) -> str:
    """A path for the log: long segments are truncated, for they may be secrets in the wrong place.

    Key ids and the names of our own routes are shown whole; enough of a client_id is shown to find it.
    """
    if len(path) > _SEGMENT_CHARACTERS:
        path = _LONG_SEGMENT.sub(r"\1…", path)
    return path[:_PATH_CHARACTERS]


def set_up_logging(log_format: LogFormat | None, level: str, *, descriptor: int = 2) -> "LogWriter":
    """Send every logger's records to a file descriptor, replacing all earlier handlers.

    Args:
        log_format: None chooses text on a terminal, else JSON.
        level: a name of `LEVELS`.
        descriptor: where to write; stderr by default.

    Returns:
        The writer; closing it writes the queued records. It is closed at exit in any case.
    """
    if log_format is None:
        log_format = "text" if os.isatty(descriptor) else "json"
    writer = LogWriter(descriptor, _text_line if log_format == "text" else _json_line)
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    root.addHandler(writer)
    root.setLevel(LEVELS[level])
    atexit.register(writer.close)
    return writer


class LogWriter(logging.Handler):
    """Passes records to a thread that formats and writes them.

    It writes to the descriptor itself, not to `sys.stderr`: a thread that holds a stream's lock while it waits for a
    slow reader would prevent the interpreter from exiting.
    """

    def __init__(self, descriptor: int, make_line: Callable[[logging.LogRecord], str]) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._make_line = make_line
        self._records: queue.SimpleQueue[logging.LogRecord | None] = queue.SimpleQueue()
        self.dropped = 0
        self._is_closed = False
        self._thread = threading.Thread(target=self._write_all, name="herod-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record; when the queue is full, count it as dropped."""
        if self._records.qsize() >= _QUEUE_RECORDS:
            self.dropped += 1
        elif not self._is_closed:
            self._records.put(record)

    def has_room(self, lines: int) -> bool:
        """Whether so many lines can be queued, with as many again left for other loggers."""
        return self._records.qsize() + 2 * lines <= _QUEUE_RECORDS

    def close(self) -> None:
        """Write the queued records, for at most two seconds, and stop."""
        if not self._is_closed:
            self._is_closed = True
            self._records.put(None)
            self._thread.join(_CLOSE_SECONDS)
            atexit.unregister(self.close)
        super().close()

    def _write_all(self) -> None:
        told = 0
        while (record := self._records.get()) is not None:
            self._write(self._line(record))
            dropped = self.dropped
            if dropped > told:
                self._write(self._line(_dropped_record(dropped - told)))
                told = dropped

    def _line(self, record: logging.LogRecord) -> bytes:
        try:
            line = self._make_line(record)
        except Exception as error:  # noqa: BLE001 - a record that cannot be formatted must not end the thread
            line = self._make_line(_broken_record(record, error))
        return line.encode("utf-8", "backslashreplace") + b"\n"

    def _write(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError:  # the reader is gone or the disk is full: keep serving
                return


def _dropped_record(count: int) -> logging.LogRecord:
    message = "log lines were dropped: the reader of the log is too slow"
    return _own.makeRecord(
        _own.name, logging.WARNING, "", 0, message, (), None, extra={"event": "log.dropped", "count": count}
    )


def _broken_record(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    message = "a log record of %s could not be formatted: %s"
    return _own.makeRecord(_own.name, logging.ERROR, "", 0, message, (record.name, type(error).__name__), None)


def _event(record: logging.LogRecord) -> str:
    return str(getattr(record, "event", record.name))


def _trace(record: logging.LogRecord) -> str | None:
    if record.exc_info and record.exc_info[0] is not None:
        return _traceback_formatter.formatException(record.exc_info)[-_TRACE_CHARACTERS:]
    return None


def _json_line(record: logging.LogRecord) -> str:
    line: dict[str, object] = {
        "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "event": _event(record),
    }
    if message := record.getMessage():
        line["message"] = message[:_MESSAGE_CHARACTERS]
    for name in FIELDS:
        if name in record.__dict__:
            value = record.__dict__[name]
            line[name] = value if isinstance(value, int | float | None) else str(value)
    if trace := _trace(record):
        line["trace"] = trace
    return json.dumps(line)  # ASCII only: every control character and odd code point is escaped


def _text_line(record: logging.LogRecord) -> str:
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
    words = [at, record.levelname.lower().ljust(7), _event(record)]
    if message := record.getMessage():
        words.append(message[:_MESSAGE_CHARACTERS])
    words += [f"{name}={record.__dict__[name]}" for name in FIELDS if name in record.__dict__]
    lines = [_printable(" ".join(words))]
    if trace := _trace(record):
        lines += ["    " + _printable(line) for line in trace.splitlines()]
    return "\n".join(lines)


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
