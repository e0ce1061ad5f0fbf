"""What the documents on security say is shown by tests is shown by tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted((ROOT / "docs/security").glob("*.md"))
TEST = re.compile(r"`(?:tests/)?((?:[a-z_0-9]+/)+test_[a-z_0-9]+\.py)(?:::(test_\w+))?`")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_named_tests_exist(document: Path) -> None:
    """Each test that a document names is there."""
    missing = []
    for file, name in TEST.findall(document.read_text()):
        path = ROOT / "tests" / file
        if not path.is_file() or (name and f"def {name}(" not in path.read_text()):
            missing.append(f"{file}::{name}")
    assert missing == []


def test_documents_name_tests() -> None:
    """The threats are not without tests."""
    assert len(set(TEST.findall((ROOT / "docs/security/threats.md").read_text()))) > 40
