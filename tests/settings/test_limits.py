"""docs/limits.md lists every limit with its number, and nothing else."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

from herod.server.connection_limits import Limits
from herod.settings import LIMITS, QUOTAS
from herod.settings.setting_kinds import Option
from herod.throttle import rules
from settings.fixed_limits import FIXED, number_of
from settings.no_limits import NO_LIMITS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "limits.md"
CODE = [(ROOT, ROOT / "herod"), (ROOT / "clients" / "python", ROOT / "clients" / "python" / "herod_client")]
CONSTANTS = {constant for section in FIXED.values() for constant in section.values()}

# How constants that limit something are called.
LIMITING = re.compile(
    r"(^|_)(MAX|MIN|MOST|KEPT|WAITING|AT_ONCE|TURNED|SPARE|TURN|BURST|BACKLOG|CACHED|ROWS|SESSIONS|CONNECTIONS)(_|$)"
    r"|_(BYTES|SECONDS|MILLISECONDS|CHARS|CHARACTERS|RECORDS|PAGES?|BUFFER|EVERY|TTL|SKEW|FIELDS|HEADERS)$"
)


def tables() -> dict[str, list[str]]:
    """The rows of each section's tables, without their heads."""
    found: dict[str, list[str]] = {}
    section = ""
    for before, line in pairwise(["", *PAGE.read_text().splitlines(), ""]):
        if before.startswith("#"):
            section = before.lstrip("# ")
        if before.startswith("| ") and not line.startswith("|---"):
            found.setdefault(section, []).append(before)
    return found


def limit_row(limit: Option) -> str:
    """The row of a limit that can be set."""
    low, high = limit.kind.bounds or (0, 0)
    return f"| `{limit.name}` | {limit.default} | {low} to {high} | {limit.help} |"


def fixed_row(what: str, constant: str) -> str:
    """The row of a fixed limit."""
    number = number_of(constant)
    return f"| {what} | {int(number) if number == int(number) else number} |"


def number_constants() -> Iterator[str]:
    """Every module-level constant that is a number and is called like a limit, as `module:NAME`."""
    for root, folder in CODE:
        for file in sorted(folder.rglob("*.py")):
            module = ".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            for statement in ast.parse(file.read_text()).body:
                match statement:
                    case ast.AnnAssign(target=ast.Name(id=name), value=value) if value and LIMITING.search(name):
                        pass
                    case ast.Assign(targets=[ast.Name(id=name)], value=value) if LIMITING.search(name):
                        pass
                    case _:
                        continue
                if is_number(value):
                    yield f"{module}:{name}"


def is_number(value: ast.expr) -> bool:
    """Whether an expression is made of numbers and names of other constants."""
    allowed = (ast.BinOp, ast.operator, ast.unaryop, ast.UnaryOp, ast.Name, ast.Load)
    return all(
        isinstance(node, allowed) or (isinstance(node, ast.Constant) and isinstance(node.value, int | float))
        for node in ast.walk(value)
    )


def test_page() -> None:
    """Each section has the rows of its limits, with the numbers of the code, and no other."""
    expected = {"Settings": [*map(limit_row, LIMITS.values())], "Quotas": [*map(limit_row, QUOTAS.values())]}
    for section, fixed in FIXED.items():
        expected.setdefault(section, []).extend(fixed_row(*row) for row in fixed.items())
    found = tables()
    assert list(found) == list(expected)
    for section, rows in expected.items():
        missing, unknown = set(rows) - set(found[section]), set(found[section]) - set(rows)
        assert (sorted(missing), sorted(unknown)) == ([], []), f"docs/limits.md, {section}: missing and unknown rows"
        assert len(found[section]) == len(rows)


def test_every_constant_is_listed() -> None:
    """Each constant that is called like a limit has a row, or is known to limit nothing."""
    named = {re.sub(r"(:\w+)\..*", r"\1", constant) for constant in CONSTANTS}
    assert sorted(set(number_constants()) - named - NO_LIMITS) == [], "add a row to its table and docs/limits.md"
    assert sorted(NO_LIMITS - set(number_constants())) == [], "remove from NO_LIMITS"
    assert NO_LIMITS.isdisjoint(named)


def test_every_server_limit_is_listed() -> None:
    """Each limit on clients is a setting or has a row."""
    place = "herod.server.connection_limits:Limits."
    rows = {constant.removeprefix(place) for constant in CONSTANTS if constant.startswith(place)}
    aliases = {"body_bytes"}  # it is `MAX_BODY`
    assert {field.name for field in fields(Limits)} - aliases == rows | set(LIMITS)


def test_every_rule_is_listed() -> None:
    """Each rule that locks has a row with its number."""
    locking = {name for name, rule in vars(rules).items() if isinstance(rule, rules.LimitRule) and rule.limit}
    assert {f"herod.throttle.rules:{name}.limit" for name in locking} <= CONSTANTS
