"""docs/logs.md lists every event and every field of herod's log."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import herod
from herod.server.logs import FIELDS

PACKAGE = Path(herod.__file__).parent
PAGE = (PACKAGE.parent / "docs/logs.md").read_text()
# Quart logs under the application's name; copied rows are logged under an event of their own.
OF_LIBRARIES = {"herod.dashboard"}
NEVER_SHOWN = {"herod.access", "herod.loop"}


def test_events() -> None:
    """Each logger of herod, or the event it names instead, has a row, and there is no other."""
    _, _, table = PAGE.partition("## Events")
    listed = {
        name for row in re.findall(r"^\| (`.*?`) \| ", table, re.MULTILINE) for name in re.findall("`(.*?)`", row)
    }
    assert listed - {"event"} == (set(_events()) | OF_LIBRARIES) - NEVER_SHOWN


def test_fields() -> None:
    """Each field that a line may have is explained."""
    _, _, rest = PAGE.partition("## A line")
    table, _, _ = rest.partition("## Events")
    listed = [
        name for row in re.findall(r"^\| (`.*?`) \| ", table, re.MULTILINE) for name in re.findall("`(.*?)`", row)
    ]
    assert sorted(listed) == sorted(FIELDS)


def _events() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        module = ".".join(("herod", *path.relative_to(PACKAGE).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "getLogger":
                yield from (_name(argument, module) for argument in node.args)
            elif isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "event" and isinstance(value, ast.Constant):
                        yield str(value.value)


def _name(argument: ast.expr, module: str) -> str:
    return str(argument.value) if isinstance(argument, ast.Constant) else module
