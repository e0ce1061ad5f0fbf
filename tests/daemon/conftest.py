"""A folder that every user of the machine can enter, unlike pytest's own."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A temporary folder with mode 0755."""
    with tempfile.TemporaryDirectory(prefix="herod-test-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
