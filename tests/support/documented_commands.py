"""Commands as a page of the documentation has them, so that the tests run what a reader types."""

import shlex
from pathlib import Path
from typing import Final

__all__ = ["documented"]

PAGE: Final = Path(__file__).parents[2] / "docs" / "asking.md"
PROMPT: Final = "$ "
SHOWN: Final = "http://localhost:3350"


def documented(command: str, url: str = SHOWN) -> list[str]:
    """The arguments of a command on the page about clients, for the daemon at a URL."""
    lines = [line.removeprefix(PROMPT) for line in PAGE.read_text().splitlines() if line.startswith(PROMPT)]
    (words,) = [words for words in map(shlex.split, lines) if command in words[:2]]
    return [word.replace(SHOWN, url) for word in words[words.index(command) + 1 :]]
