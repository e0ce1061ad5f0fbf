"""Logs: what a line contains and what it never does, and logging that never waits for its reader."""

import fcntl
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from herod.server.logs import LogFormat, LogWriter, log_answer, set_up_logging


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """Restore the root logger."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        if isinstance(handler, LogWriter):
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def written(path: Path, log_format: LogFormat | None, level: str = "info") -> "Log":
    """Log into a file."""
    return Log(path / "log", log_format, level)


class Log:
    """A log file that is closed when it is read."""

    def __init__(self, path: Path, log_format: LogFormat | None, level: str) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        self._writer = set_up_logging(log_format, level, descriptor=self._descriptor)

    def text(self) -> str:
        """Close the log and read its text."""
        self._writer.close()
        os.close(self._descriptor)
        return self._path.read_text()

    def lines(self) -> list[dict[str, Any]]:
        """Close the log and read its JSON lines."""
        return [json.loads(line) for line in self.text().splitlines()]


def test_access_line(tmp_path: Path) -> None:
    """An answer is logged as one JSON object with exactly these fields."""
    log = written(tmp_path, None)
    log_answer(method="GET", path="/health", status=200, seconds=0.0012345, source="uid:7")
    (line,) = log.lines()
    assert line.pop("at").endswith("Z")
    assert line == {
        "level": "info",
        "event": "request",
        "method": "GET",
        "path": "/health",
        "status": 200,
        "ms": 1.234,
        "source": "uid:7",
    }


def test_only_allowed_fields(tmp_path: Path) -> None:
    """Extra fields that are not on the list are dropped, whatever their names."""
    log = written(tmp_path, "json")
    extra = {"event": "sign-in", "reason": "bad_password", "password": "canary", "body": "canary", "referer": "canary"}
    logging.getLogger("herod.test").warning("refused", extra=extra)
    text = log.text()
    assert "canary" not in text
    line = json.loads(text)
    assert (line["event"], line["reason"], line["message"], line["level"]) == (
        "sign-in",
        "bad_password",
        "refused",
        "warning",
    )


def test_long_path_is_cut(tmp_path: Path) -> None:
    """A path takes at most 200 characters of a line."""
    log = written(tmp_path, "json")
    log_answer(method="GET", path="/a" * 500, status=404, seconds=0, source="unix")
    assert len(log.lines()[0]["path"]) == 200


EVIL = "a\r\nb\x1b[2J\x00\x9b31m\u2028\u202e\udcff\x7f end"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_forged_lines(tmp_path: Path, log_format: LogFormat) -> None:
    """Control characters, direction overrides and surrogates are escaped, in messages and fields."""
    log = written(tmp_path, log_format)
    logging.getLogger("herod.test").info("said %s", EVIL, extra={"reason": EVIL})
    text = log.text()
    assert text.count("\n") == 1
    assert text[:-1].isascii()
    assert text[:-1].isprintable()
    assert "\\u001b[2J" in text


def test_exception_is_logged_whole(tmp_path: Path) -> None:
    """A traceback is one field, or indented below its line."""
    error = ValueError("why\x1b")
    log = written(tmp_path, "json")
    logging.getLogger("herod.test").error("failed", exc_info=error)
    assert log.lines()[0]["trace"] == "ValueError: why\x1b"
    (tmp_path / "log").unlink()
    log = written(tmp_path, "text")
    logging.getLogger("herod.test").error("failed", exc_info=error)
    assert log.text().splitlines()[1:] == ["    ValueError: why\\u001b"]


def test_level_and_replacement(tmp_path: Path) -> None:
    """Repeated setup replaces the handlers, and the level applies to all loggers."""
    old = written(tmp_path, "json")
    (tmp_path / "new").mkdir()
    log = written(tmp_path / "new", "json", "warning")
    logging.getLogger("herod.test").info("no")
    log_answer(method="GET", path="/", status=200, seconds=0, source="unix")
    logging.getLogger("herod.test").error("yes")
    assert [line["message"] for line in log.lines()] == ["yes"]
    assert old.text() == ""


def test_broken_record_is_named(tmp_path: Path) -> None:
    """A record that cannot be formatted is reported, and the next one is written."""
    log = written(tmp_path, "json")
    logging.getLogger("herod.test").info("%d", "not a number")
    logging.getLogger("herod.test").info("next")
    first, second = log.lines()
    assert "TypeError" in first["message"]
    assert second["message"] == "next"


def test_text_on_a_terminal() -> None:
    """On a terminal the default format is text."""
    master, slave = os.openpty()
    writer = set_up_logging(None, "info", descriptor=slave)
    logging.getLogger("herod.test").info("hello")
    writer.close()
    line = os.read(master, 1000).decode()
    assert line.rstrip().endswith("info    herod.test hello")
    os.close(master)
    os.close(slave)


def test_full_pipe_blocks_nobody() -> None:
    """If the reader does not read, logging does not block, lines are dropped and counted, and closing ends."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    log = set_up_logging("json", "info", descriptor=writer)
    for number in range(11_000):
        logging.getLogger("herod.test").info("%d %s", number, "x" * 100)
    assert log.dropped > 0
    text = b""
    while text.count(b"\n") < 10_000 or not text.endswith(b"}\n") or accounted(text) < 11_000:
        text += os.read(reader, 65536)
    assert accounted(text) == 11_000
    log.close()
    os.close(writer)
    os.close(reader)


def accounted(text: bytes) -> int:
    """How many records these lines account for, including dropped ones."""
    lines = [json.loads(line) for line in text.splitlines()]
    return sum(line["count"] if line["event"] == "log.dropped" else 1 for line in lines)


def test_process_ends_though_nobody_reads() -> None:
    """A process ends although its log is not read or has been closed."""
    code = (
        "import logging\nfrom herod.server.logs import set_up_logging\nset_up_logging('json', 'info')\n"
        "for n in range(5000): logging.getLogger('herod').info('x' * 100)\n"
    )
    for close_first in (False, True):
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
        assert process.stderr is not None
        if close_first:
            process.stderr.close()
        assert process.wait(20) == 0
        process.stderr.close()


def test_waiting_lines_are_written_at_exit() -> None:
    """The last lines are written at exit, even if the log was not closed."""
    code = (
        "import logging\nfrom herod.server.logs import set_up_logging\nset_up_logging('json', 'info')\n"
        "for n in range(500): logging.getLogger('herod').info('last %d', n)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=True, timeout=20)
    assert done.stderr.count(b"\n") == 500
    assert b"last 499" in done.stderr
