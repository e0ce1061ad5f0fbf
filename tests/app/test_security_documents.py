"""What the documents on security say is shown by tests is shown by tests that exist, and all pages' links lead on."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted((ROOT / "docs/security").glob("*.md"))
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
ASVS = ROOT / "docs/security/asvs.md"
# The numbers of ASVS 5.0.0 with level 1 or 2: section: requirements; higher ones have level 3.
REQUIREMENTS = """
1.1: 1-2; 1.2: 1-9; 1.3: 1-11; 1.4: 1-3; 1.5: 1-2; 2.1: 1-3; 2.2: 1-3; 2.3: 1-4; 2.4: 1; 3.2: 1-2; 3.3: 1-4;
3.4: 1-6; 3.5: 1-5; 3.7: 1-2; 4.1: 1-3; 4.2: 1; 4.3: 1-2; 4.4: 1-4; 5.1: 1; 5.2: 1-3; 5.3: 1-2; 5.4: 1-3;
6.1: 1-3; 6.2: 1-12; 6.3: 1-4; 6.4: 1-4; 6.5: 1-5; 6.6: 1-3; 6.8: 1-4; 7.1: 1-3; 7.2: 1-4; 7.3: 1-2; 7.4: 1-5;
7.5: 1-2; 7.6: 1-2; 8.1: 1-2; 8.2: 1-3; 8.3: 1; 8.4: 1; 9.1: 1-3; 9.2: 1-4; 10.1: 1-2; 10.2: 1-2; 10.3: 1-4;
10.4: 1-11; 10.5: 1-5; 10.6: 1-2; 10.7: 1-3; 11.1: 1-2; 11.2: 1-3; 11.3: 1-3; 11.4: 1-4; 11.5: 1; 11.6: 1;
12.1: 1-3; 12.2: 1-2; 12.3: 1-4; 13.1: 1; 13.2: 1-5; 13.3: 1-2; 13.4: 1-5; 14.1: 1-2; 14.2: 1-4; 14.3: 1-3;
15.1: 1-3; 15.2: 1-3; 15.3: 1-7; 16.1: 1; 16.2: 1-5; 16.3: 1-4; 16.4: 1-3; 16.5: 1-3; 17.1: 1; 17.2: 1-4;
17.3: 1-2
"""
STATES = ("yes", "in part", "no", "–", "yours")
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


def test_every_requirement_has_a_row() -> None:
    """The rows of the ASVS are those of levels 1 and 2, in their order, each once and with a known state."""
    rows = re.findall(r"^\| ([\d.]+) \| [^|]+ \| ([^|]+) \| [^|]+ \|$", ASVS.read_text(), re.MULTILINE)
    assert [number for number, _ in rows] == list(_numbers())
    assert {state for _, state in rows} <= set(STATES)


def test_what_is_met_is_shown() -> None:
    """A requirement that is met names a test, a file, a document, or the rule of the linter that holds it."""
    met = re.findall(r"^\| ([\d.]+) \| [^|]+ \| yes \| ([^|]+) \|$", ASVS.read_text(), re.MULTILINE)
    bare = [number for number, how in met if not TEST.search(how) and not re.search(r"\]\(|`\S*/\S*`|make lint", how)]
    # What Python is, and what does not exist.
    assert bare == ["1.4.1", "6.4.2"]


@pytest.mark.parametrize("document", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    """Each link to another page, and to a heading in it, has its end."""
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        if "://" in target:
            continue
        file, _, heading = target.partition("#")
        page = (document.parent / file).resolve() if file else document
        assert page.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
            assert heading in [_slug(title) for title in headings], target


def _numbers() -> Iterator[str]:
    for section in REQUIREMENTS.replace("\n", " ").split(";"):
        name, _, spans = section.strip().partition(": ")
        for span in spans.split():
            first, _, last = span.partition("-")
            yield from (f"{name}.{number}" for number in range(int(first), int(last or first) + 1))


def _slug(title: str) -> str:
    """A heading's anchor, as GitHub and Forgejo make it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
