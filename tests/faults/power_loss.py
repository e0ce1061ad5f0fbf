"""Records what a command makes of a folder, and builds the images that a power failure could leave of it.

strace records every call that changes files, and the lines that the command prints. After a power failure, what was
synced is on the disk. Of the rest anything can be: nothing, all, a beginning, any selection of writes, and of each
write any of its sectors. Names of files (creations, links, renames, removals) are kept in order, as journaling file
systems do, but only those synced by their folder are certain.

SQLite's `-shm` is left out: it is memory, and rebuilt when the store is opened.
"""

import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

__all__ = ["MODES", "PROMISE", "Image", "Recording", "images", "record"]

SECTOR: Final = 512
PROMISE: Final = b"promised: "
"""How a line begins that promises something."""
MODES: Final = ("none", "all", "prefix", "reordered", "torn")
CALLS: Final = (
    "openat,write,pwrite64,lseek,ftruncate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,link,linkat"
)
# What would change files unseen.
UNSEEN: Final = "writev,pwritev,pwritev2,copy_file_range,sendfile,fallocate,truncate,symlink,symlinkat,creat"
_LINE: Final = re.compile(r"(\d+) +(.*)")
_CALL: Final = re.compile(r"(\w+)\((.*)\) += +(-?\d+)(<.*>)?.*")
_TEXT: Final = re.compile(r' *(?:"((?:\\x[0-9a-f]{2})*)"(?:\.\.\.)?|(-?\w+)<((?:\\x[0-9a-f]{2})*)>|([^",<>]+))')


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset of a file."""

    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Cut:
    """A file is given a length."""

    file: int
    length: int


@dataclass(frozen=True, slots=True)
class Names:
    """Names that come to mean a file, or none, at once."""

    folder: str
    changes: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Sync:
    """A file, or a folder's names, are made durable, as they were when the call began."""

    target: int | str
    begun: int


@dataclass(frozen=True, slots=True)
class Said:
    """A line that the command printed: it has promised something."""

    line: str


Operation = Write | Cut | Names | Sync | Said


@dataclass
class Recording:
    """Everything that happened in a folder, in order.

    Attributes:
        before: the files at the start, which are durable: number → content.
        names: their names.
        operations: what happened.
    """

    before: dict[int, bytes]
    names: dict[str, int]
    operations: list[Operation] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Image:
    """One state that the disk may have after a power failure.

    Attributes:
        said: what the command had printed before.
        files: name → content.
    """

    mode: str
    moment: int
    said: tuple[str, ...]
    files: dict[str, bytes]

    def lay_out(self, folder: Path) -> None:
        """Write the image to an empty folder."""
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            path.write_bytes(content)
            path.chmod(0o600)


def record(folder: Path, command: Sequence[str], trace: Path) -> Recording:
    """Run a Python program and record what it does in the folder.

    Args:
        folder: where its files are.
        command: the program's arguments, after the interpreter.
        trace: where strace may write.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    numbers: dict[tuple[int, int], int] = {}
    for path in files:
        numbers.setdefault((path.stat().st_dev, path.stat().st_ino), len(numbers))
    names = {str(path): numbers[path.stat().st_dev, path.stat().st_ino] for path in files}
    made = Recording({number: Path(path).read_bytes() for path, number in names.items()}, dict(names))
    strace = ["strace", "-f", "-qq", "--seccomp-bpf", "-y", "-xx", "-s", "9999999", "-o", str(trace)]
    strace += ["-e", f"trace={CALLS},{UNSEEN}", sys.executable, *command]
    done = subprocess.run(strace, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    _Reader(folder, made, names).read(trace)
    return made


def images(recording: Recording, count: int, chance: random.Random, *, syncs_count: bool = True) -> Iterator[Image]:
    """So many images, at random moments, of each mode in turn.

    Args:
        syncs_count: a sync makes things durable; False for a disk that lies.
    """
    for number in range(count):
        # First, and often, the last one, when everything has been promised.
        end = len(recording.operations)
        moment = end if number == 0 or chance.random() < 0.2 else chance.randint(1, end)
        yield _image(recording, MODES[number % len(MODES)], moment, chance, syncs_count=syncs_count)


def _image(recording: Recording, mode: str, moment: int, chance: random.Random, *, syncs_count: bool) -> Image:
    happened = recording.operations[:moment]
    synced: dict[int | str, int] = {}  # the moment before which everything of it is durable
    for operation in happened if syncs_count else ():
        if isinstance(operation, Sync):
            synced[operation.target] = max(operation.begun, synced.get(operation.target, 0))
    contents = _contents(recording, happened, synced, _picker(mode, moment, chance))
    last = {"none": 0, "all": moment}.get(mode, chance.randint(0, moment))
    names = dict(recording.names)
    for index, operation in enumerate(happened):
        if isinstance(operation, Names) and index < max(last, synced.get(operation.folder, 0)):
            for name, number in operation.changes:
                names.pop(name, None)
                if number is not None:
                    names[name] = number
    said = tuple(operation.line for operation in happened if isinstance(operation, Said))
    return Image(mode, moment, said, {name: bytes(contents.get(file, b"")) for name, file in names.items()})


def _contents(
    recording: Recording, happened: Sequence[Operation], synced: dict[int | str, int], pick: "Picker"
) -> dict[int, bytearray]:
    """What each file holds."""
    contents = {number: bytearray(content) for number, content in recording.before.items()}
    for index, operation in enumerate(happened):
        match operation:
            case Write(file, offset, data):
                for start, part in [(0, data)] if index < synced.get(file, 0) else pick(index, offset, data):
                    _put(contents.setdefault(file, bytearray()), offset + start, part)
            case Cut(file, length):
                if index < synced.get(file, 0) or any(pick(index, 0, b"-")):
                    _cut(contents.setdefault(file, bytearray()), length)
            case _:
                pass
    return contents


Picker = Callable[[int, int, bytes], list[tuple[int, bytes]]]


def _picker(mode: str, moment: int, chance: random.Random) -> Picker:
    """Which parts of an unsynced write have reached the disk, as offsets in it and bytes."""
    last = {"none": 0, "all": moment}.get(mode, chance.randint(0, moment))

    def pick(index: int, offset: int, data: bytes) -> list[tuple[int, bytes]]:
        if mode in {"none", "all", "prefix"}:
            return [(0, data)] if index < last else []
        if chance.random() < 0.5:
            return []
        if mode == "reordered":
            return [(0, data)]
        edges = [0, *range(SECTOR - offset % SECTOR, len(data), SECTOR), len(data)]
        parts = [(start, data[start:end]) for start, end in pairwise(edges)]
        return [part for part in parts if chance.random() < 0.5]

    return pick


def _put(content: bytearray, offset: int, data: bytes) -> None:
    content.extend(bytes(max(0, offset + len(data) - len(content))))
    content[offset : offset + len(data)] = data


def _cut(content: bytearray, length: int) -> None:
    del content[length:]
    content.extend(bytes(length - len(content)))


class _Reader:
    """Reads strace's lines, and follows names and offsets."""

    def __init__(self, folder: Path, recording: Recording, names: dict[str, int]) -> None:
        self._folder = str(folder)
        self._recording = recording
        self._names = names
        self._next = len(recording.before)
        self._offsets: dict[tuple[str, str], int] = {}  # descriptor and path → where the next `write` goes

    def read(self, trace: Path) -> None:
        """Read a whole trace."""
        begun: dict[str, tuple[str, int]] = {}
        for line in trace.read_text().splitlines():
            found = _LINE.fullmatch(line)
            assert found, line
            thread, text = found.groups()
            at = len(self._recording.operations)
            if text.endswith("<unfinished ...>"):
                begun[thread] = (text.removesuffix("<unfinished ...>").rstrip(), at)
                continue
            if text.startswith("<... "):
                head, at = begun.pop(thread)
                text = head + text.partition("resumed>")[2]
            if (call := _CALL.fullmatch(text)) and int(call[3]) >= 0:
                self._take(call[1], list(_arguments(call[2])), int(call[3]), call[4] or "", at)

    def _take(self, call: str, arguments: list[tuple[str, str]], result: int, shown: str, begun: int) -> None:
        match call:
            case "openat":
                self._open(str(result), _text(shown[1:-1]), arguments[2][0])
            case "lseek":
                self._offsets[arguments[0]] = result
            case "write":
                self._write(arguments[0], arguments[1][1].encode("latin-1")[:result])
            case "pwrite64":
                self._put(arguments[0][1], int(arguments[3][0]), arguments[1][1].encode("latin-1")[:result])
            case "ftruncate":
                self._cut(arguments[0][1], int(arguments[1][0]))
            case "fsync" | "fdatasync":
                path = arguments[0][1]
                if path.startswith(self._folder):
                    self._add(Sync(self._names.get(path, path), begun))
            case _:
                self._rename(call, arguments)

    def _open(self, descriptor: str, path: str, flags: str) -> None:
        self._offsets[descriptor, path] = 0
        if "O_CREAT" in flags and path not in self._names:
            self._next += 1
            self._name((path, self._next))
        if "O_TRUNC" in flags:
            self._cut(path, 0)

    def _write(self, descriptor: tuple[str, str], data: bytes) -> None:
        if data.startswith(PROMISE):
            self._add(Said(data.removeprefix(PROMISE).decode().strip()))
        start = self._offsets.get(descriptor, 0)
        self._put(descriptor[1], start, data)
        self._offsets[descriptor] = start + len(data)

    def _put(self, path: str, offset: int, data: bytes) -> None:
        if path in self._names:
            self._add(Write(self._names[path], offset, data))

    def _cut(self, path: str, length: int) -> None:
        if path in self._names:
            self._add(Cut(self._names[path], length))

    def _rename(self, call: str, arguments: list[tuple[str, str]]) -> None:
        paths = [text for _, text in arguments]
        if call.endswith(("at", "at2")):
            paths = [_join(folder, path) for folder, path in zip(paths[::2], paths[1::2], strict=False)]
        match call.removesuffix("2").removesuffix("at"), paths:
            case "rename", [old, new, *_] if old in self._names:
                self._name((old, None), (new, self._names[old]))
            case "link", [old, new, *_] if old in self._names:
                self._name((new, self._names[old]))
            case "unlink", [path, *_] if path in self._names:
                self._name((path, None))
            case "rename" | "link" | "unlink", _:
                pass
            case _:
                assert not any(path.startswith(self._folder) for path in paths), f"{call} changes a file unseen"

    def _name(self, *changes: tuple[str, int | None]) -> None:
        if not changes[-1][0].startswith(self._folder) or changes[-1][0].endswith("-shm"):
            return
        for path, number in changes:
            self._names.pop(path, None)
            if number is not None:
                self._names[path] = number
        self._add(Names(str(Path(changes[-1][0]).parent), changes))

    def _add(self, operation: Operation) -> None:
        self._recording.operations.append(operation)


def _arguments(text: str) -> Iterator[tuple[str, str]]:
    """Each argument as (what strace shows, the decoded text or the path of the descriptor)."""
    for found in _TEXT.finditer(text):
        quoted, descriptor, path, plain = found.groups()
        if quoted is not None:
            yield "", _text(quoted)
        elif path is not None:
            yield descriptor, _text(path)
        elif plain.strip():
            yield plain.strip(), ""


def _text(escaped: str) -> str:
    """Decode strace's hexadecimal escapes, one character for each byte."""
    return bytes.fromhex(escaped.replace("\\x", "")).decode("latin-1")


def _join(folder: str, path: str) -> str:
    return path if path.startswith("/") else f"{folder}/{path}"
