"""`herod audit verify --against FILE`: which differences between a copy of the audit log and the store are named."""

import gzip
import json
import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.fake_daemon import FakeDaemon

Typed = Callable[..., Any]
HEAD = "5f" * 32


def entry(seq: int, **changes: Any) -> dict[str, Any]:
    """One row."""
    return {
        "seq": seq, "at": "2026-11-21T10:00:00Z", "actor": "a", "method": "jwt", "source": "uid:1000",
        "operation": "keys.create", "outcome": "ok", "reason": None, "target": f"key-{seq}", "count": 1,
        "by_admin": False, "mac": f"{seq:064x}", **changes,
    }  # fmt: skip


class Log:
    """The daemon's log: its rows, of which retention has removed the oldest."""

    def __init__(self, daemon: FakeDaemon) -> None:
        self.rows = {seq: entry(seq) for seq in range(1, 501)}
        self.removed = 0
        self.calls = 0
        daemon.methods["audit.verify"] = self.verify
        daemon.methods["audit.list"] = self.list

    def verify(self, params: dict[str, Any]) -> object:
        return {"valid": True, "rows": len(self.rows), "head": HEAD, "removed": self.removed}

    def list(self, params: dict[str, Any]) -> object:
        self.calls += 1
        rows = [self.rows[seq] for seq in sorted(self.rows) if seq > max(self.removed, params.get("after", 0))]
        if "operation" in params:
            rows = [row for row in rows if row["operation"] == params["operation"]]
        page = rows[: params["limit"]] if "after" in params else rows[::-1][: params["limit"]]
        return {"items": page, "next_cursor": None}


@pytest.fixture
def log(daemon: FakeDaemon) -> Log:
    """A log of 500 rows."""
    return Log(daemon)


def encode(*rows: dict[str, Any]) -> bytes:
    """Lines as herod writes them."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@pytest.fixture
def verify(herod: Typed, tmp_path: Path) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Write files with such contents, compare them, and return the exit code and the comparison."""

    def run(*contents: bytes) -> tuple[int, dict[str, Any]]:
        arguments: list[str] = []
        for number, content in enumerate(contents):
            path = tmp_path / f"copy-{number}"
            path.write_bytes(content)
            arguments += ["--against", str(path)]
        ended = herod("audit", "verify", *arguments, "--output", "json")
        return ended.code, json.loads(ended.out)["copy"]

    return run


def test_equal(log: Log, verify: Typed, herod: Typed, tmp_path: Path) -> None:
    """A complete copy matches, with few requests; people read how many lines were compared."""
    code, copy = verify(encode(*log.rows.values()))
    assert code == 0
    assert copy == {
        "lines": 500, "equal": 500, "removed_by_retention": 0, "first": 1, "last": 500, "only_in_store_before": 0,
        "only_in_store_after": 0, "cut": None, "difference": None,
    }  # fmt: skip
    assert log.calls < 10
    ended = herod("audit", "verify", "--against", tmp_path / "copy-0")
    assert (ended.code, ended.err) == (0, "")
    assert "equal                 500" in ended.out


def test_rotated_and_compressed(log: Log, verify: Typed) -> None:
    """Several files are compared in the order of their rows, whatever the order of the arguments; gzip is unpacked."""
    rows = list(log.rows.values())
    code, copy = verify(encode(*rows[400:]), b"", gzip.compress(encode(*rows[:200])), encode(*rows[200:400]))
    assert (code, copy["equal"], copy["difference"]) == (0, 500, None)


def test_encodings(log: Log, verify: Typed, herod: Typed, tmp_path: Path) -> None:
    """A byte order mark is skipped, another encoding is named, and a line with a name twice is no row."""
    content = encode(*log.rows.values())
    assert verify(b"\xef\xbb\xbf" + content)[1]["equal"] == 500
    for encoding in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        path = tmp_path / "copy"
        path.write_bytes(content.decode().encode(encoding))
        ended = herod("audit", "verify", "--against", str(path))
        assert (ended.code, ended.err) == (1, f"herod: {path} is {encoding.upper()[:6]}: save it as UTF-8.\n")
    code, copy = verify(content.replace(b'{"seq": 7,', b'{"seq": 7, "seq": 7,'))
    assert (code, copy["difference"]["kind"], copy["difference"]["line"]) == (1, "unreadable", 7)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/urandom"])
def test_a_device_without_end(log: Log, herod: Typed, path: str) -> None:
    """A line without end is no row, also if it repeats itself, and is not read on."""
    ended = herod("audit", "verify", "--against", path)
    assert ended.code == 1
    assert f"line 1 of {path} is not an audit row" in ended.err + ended.out


def test_a_part_is_no_difference(log: Log, verify: Typed) -> None:
    """Rows before and after those of the copy are counted, and are no difference."""
    code, copy = verify(encode(*(log.rows[seq] for seq in range(101, 301))))
    assert (code, copy["only_in_store_before"], copy["only_in_store_after"]) == (0, 100, 200)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("actor", "b"), ("at", "2026-11-21T10:00:01Z"), ("operation", "keys.delete"), ("outcome", "denied"),
        ("reason", "expired"), ("target", None), ("count", 2), ("by_admin", True), ("mac", "0" * 64),
        ("source", "uid:0"), ("method", "peer"),
    ],
)  # fmt: skip
def test_changed(log: Log, verify: Typed, field: str, value: object) -> None:
    """A row that was changed in the copy or the store is named, with the fields that differ."""
    text = encode(*log.rows.values())
    log.rows[250] = entry(250, **{field: value})
    code, copy = verify(text)
    assert code == 1
    different = copy["difference"]
    assert (different["kind"], different["seq"], different["line"]) == ("changed", 250, 250)
    assert different["message"].endswith(f"differ in {field}")
    assert copy["equal"] == 249


def test_truncated_store(log: Log, verify: Typed, herod: Typed, tmp_path: Path) -> None:
    """A row that the store has lost is named, and people read what that means."""
    text = encode(*log.rows.values())
    for seq in range(300, 501):
        del log.rows[seq]
    code, copy = verify(text)
    assert (code, copy["difference"]["kind"], copy["difference"]["seq"]) == (1, "not_in_store", 300)
    ended = herod("audit", "verify", "--against", tmp_path / "copy-0")
    assert ended.code == 1
    assert "row 300" in ended.err
    assert "truncated or replaced, or a backup was restored" in ended.err.replace("\n", " ")


def test_rewritten_store(log: Log, verify: Typed) -> None:
    """If the end of the log was cut off and other rows follow, the first other row is named."""
    text = encode(*log.rows.values())
    log.rows |= {seq: entry(seq, actor="mallory", mac="e" * 64) for seq in range(400, 501)}
    code, copy = verify(text)
    assert (code, copy["difference"]["kind"], copy["difference"]["seq"]) == (1, "changed", 400)


def test_only_in_the_store(log: Log, verify: Typed) -> None:
    """Rows that are missing in the middle of the copy are named, also between two files."""
    rows = list(log.rows.values())
    code, copy = verify(encode(*rows[:100], *rows[103:]))
    assert (code, copy["difference"]["kind"]) == (1, "not_in_copy")
    assert "rows 101 to 103 are in the store and not in the copy" in copy["difference"]["message"]
    code, copy = verify(encode(*rows[:100]), encode(*rows[101:]))
    assert (code, copy["difference"]["line"]) == (1, 1)
    assert "row 101 is in the store" in copy["difference"]["message"]


def test_retention_is_no_difference(log: Log, verify: Typed) -> None:
    """Rows that retention has removed from the store are counted, and so is a gap among them."""
    rows = list(log.rows.values())
    log.removed = 200
    code, copy = verify(encode(*rows[:50], *rows[60:]))
    assert (code, copy["removed_by_retention"], copy["equal"]) == (0, 190, 300)
    code, copy = verify(encode(*rows[:50], *rows[205:]))
    assert code == 1
    assert "rows 201 to 205" in copy["difference"]["message"]


@pytest.mark.parametrize("cut", [1, 20, 200])
def test_cut_in_a_line(log: Log, verify: Typed, cut: int) -> None:
    """A last line that is not whole is reported, and is no difference."""
    text = encode(*log.rows.values())
    code, copy = verify(text[:-cut])
    assert code == 0
    assert (copy["cut"] is None) is (cut == 1)
    assert copy["last"] == (500 if cut == 1 else 499)


def test_cut_and_written_again(log: Log, verify: Typed) -> None:
    """Half a line that its writer repeated in full is no difference; any other text is."""
    text = encode(*log.rows.values())
    half = encode(log.rows[500])[:40]
    before = encode(*(log.rows[seq] for seq in range(1, 500)))
    code, copy = verify(before + half + b"\n" + encode(log.rows[500]))
    assert (code, copy["equal"]) == (0, 500)
    for junk in (b"junk", b'{"seq": "1"}', b"[]", b"\xff\xfe", b'{"seq": 0}', b"x" * 100_000, b"9" * 9000):
        code, copy = verify(before + junk + b"\n" + text)
        assert (code, copy["difference"]["kind"], copy["difference"]["line"]) == (1, "unreadable", 500)


def test_rows_from_before_new_keys(log: Log, verify: Typed) -> None:
    """Rows from before a change of the store's keys have new HMACs in the store; their content is compared."""
    text = encode(*log.rows.values())
    log.rows = {seq: {**row, "mac": "e" * 64} if seq < 500 else row for seq, row in log.rows.items()}
    log.rows[500] = entry(500, operation="secret.replace")
    text = text.replace(encode(entry(500)), encode(log.rows[500]))
    assert verify(text)[0] == 0
    log.rows[7] = entry(7, actor="mallory", mac="e" * 64)
    assert verify(text)[1]["difference"]["message"].endswith("differ in actor")


def test_lines_of_the_log(log: Log, verify: Typed) -> None:
    """Lines of herod's own log can be compared too."""
    more = {"at": "2026-11-21T10:00:00.000Z", "level": "info", "event": "audit"}
    assert verify(encode(*({**row, **more} for row in log.rows.values())))[0] == 0


def test_log_that_is_broken(log: Log, daemon: FakeDaemon, verify: Typed, herod: Typed, tmp_path: Path) -> None:
    """If the log itself fails verification, that is said, whatever the copy says."""
    verdict = {"valid": False, "rows": 3, "head": HEAD, "removed": 0, "reason": "row 3 is missing"}
    daemon.methods["audit.verify"] = verdict
    code, copy = verify(encode(*log.rows.values()))
    assert (code, copy["difference"]) == (1, None)
    assert "row 3 is missing" in herod("audit", "verify", "--against", tmp_path / "copy-0").err


def test_files_that_cannot_be_read(log: Log, herod: Typed, tmp_path: Path) -> None:
    """A missing, broken or unfinished file is an error in one line, not a difference."""
    (tmp_path / "broken").write_bytes(gzip.compress(encode(*log.rows.values()))[:-20])
    for name in ("missing", "broken", "."):
        ended = herod("audit", "verify", "--against", tmp_path / name)
        assert ended.code == 1
        assert "cannot be read" in ended.err


def test_pipe(log: Log, herod: Typed, tmp_path: Path) -> None:
    """A copy can be read from a pipe, as from `ssh loghost cat`."""
    os.mkfifo(tmp_path / "pipe")
    content = encode(*log.rows.values())
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    ended = herod("audit", "verify", "--against", tmp_path / "pipe", "--output", "json")
    writer.join()
    assert json.loads(ended.out)["copy"]["equal"] == 500


def test_memory_is_bounded(log: Log, herod: Typed, tmp_path: Path) -> None:
    """A long copy, also one that unpacks to much more, is never in memory as a whole."""
    log.removed = 500
    path = tmp_path / "big.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(60):
            file.write(encode(*log.rows.values()))
    tracemalloc.start()
    try:
        ended = herod("audit", "verify", "--against", path, "--output", "json")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert json.loads(ended.out)["copy"]["removed_by_retention"] == 30_000
    assert peak < 4 * 1024 * 1024
