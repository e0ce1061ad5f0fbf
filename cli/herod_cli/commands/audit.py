"""`herod audit …`: lists and verifies the audit log."""

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from herod_cli.click_base_classes import HerodGroup, WholeNumber
from herod_cli.exit_codes import OK, REFUSED
from herod_cli.invocation_context import PAGE, Invocation, pass_invocation
from herod_cli.shared.output import (
    fit,
    flow,
    pad,
    print_error,
    print_lines,
    print_notice,
    show,
    terminal_width,
    to_json,
)
from herod_cli.shared.times import parse_past, utc_now

__all__ = ["audit"]

LATEST: Final = 50
POLL_SECONDS: Final = 1.0
# A daemon that has just started may not have written its cookie yet.
STRANGER_TRIES: Final = 5

# title, field, width at 80 columns, maximum width; extra room goes to the columns from left to right.
COLUMNS: Final = (
    ("TIME", "time", 19, 19),
    ("OPERATION", "operation", 16, 20),
    ("RESULT", "result", 14, 24),
    ("SOURCE", "source", 10, 15),
    ("ACTOR", "actor", 13, 36),
    ("METHOD", "method", 0, 13),
    ("TARGET", "target", 0, 36),
)
GAP: Final = 2
# After these the store may have new keys, and the rows before them new HMACs.
REKEYING: Final = ("restore", "secret.replace")


@click.group(
    cls=HerodGroup,
    examples=["herod audit list", "herod audit list --outcome denied --since 1h", "herod audit verify"],
)
def audit() -> None:
    """The audit log: what was done, tried and refused, and by whom.

    It contains ids, never names or secrets: look them up with `herod user show` and `herod key show`.
    """


@audit.command(
    "list",
    examples=[
        "herod audit list",
        "herod audit list --operation 'keys.*' --since 7d",
        "herod audit list --outcome denied --follow",
        "herod audit list --source uid:1000 --limit 500 --output json",
    ],
)
@click.option("--actor", metavar="ID", help="Who: client_id, key id, rule id, local-admin, anonymous.")
@click.option("--operation", metavar="NAME", help="Operation, such as keys.create; 'keys.*' for all with that prefix.")
@click.option("--outcome", type=click.Choice(["ok", "denied"]), help="Whether it succeeded.")
@click.option("--reason", metavar="WORD", help="Why it was denied, such as expired.")
@click.option("--source", metavar="FROM", help="Source: uid:N, an address, or 'ADDRESS (uid N)'.")
@click.option("--target", metavar="ID", help="Id of what was changed or presented.")
@click.option(
    "--since", metavar="WHEN", help="30m or 7d (that long ago), 2030-01-31 (its start, UTC) or 2030-01-31T12:00:00Z."
)
@click.option("--until", metavar="WHEN", help="The same forms; exclusive, but a date includes that day.")
@click.option("--limit", type=WholeNumber(1), default=LATEST, metavar="N", help=f"The latest N ({LATEST}).")
@click.option("-f", "--follow", is_flag=True, help="Print new rows as they are written, until Ctrl-C.")
@pass_invocation
def list_(
    invocation: Invocation, /, *, follow: bool, limit: int, since: str | None, until: str | None, **words: str | None
) -> int:
    """List the latest rows, oldest first.

    With --follow, JSON output is one object per line.
    """
    now = utc_now()
    wanted: dict[str, Any] = {
        **words,
        "since": None if since is None else parse_past(since, now=now, option="--since"),
        "until": None if until is None else parse_past(until, now=now, option="--until"),
    }
    if follow:
        try:
            _follow(invocation, wanted, limit)
        except KeyboardInterrupt:
            return OK
    items = invocation.items("audit.list", limit=limit, **wanted)[::-1]
    if invocation.is_json:
        invocation.show_items(items, (), empty="")
    elif items:
        print_lines(_table(items, has_titles=True))
    else:
        print_notice("No row matches: `herod audit list` without options shows the latest.")
    return OK


@audit.command(
    examples=[
        "herod audit verify",
        "herod audit verify --expect HEAD",
        "herod audit verify --against /var/log/herod/audit.jsonl",
        "herod audit verify --against audit.jsonl.1 --against audit.jsonl",
    ]
)
@click.option("--expect", metavar="HEAD", help="A head noted earlier, which the log must still contain.")
@click.option(
    "--against",
    "copies",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file of --audit-file, plain or .gz, whose rows the log must contain; repeatable.",
)
@pass_invocation
def verify(invocation: Invocation, expect: str | None, copies: tuple[Path, ...]) -> int:
    """Verify that the audit log was not modified.

    Each row's HMAC covers the row before, so a changed, removed, moved or inserted row is detected and named; the
    sealed head detects a truncated log. Resetting the whole store to an earlier state also resets the head: note the
    head elsewhere and give it to --expect, or give a copy of the log to --against. It names the first row that differs,
    or that only one of the two has. Rows that retention removed, and rows before and after those of the copy, are no
    difference. Exit code 1 if anything is wrong.
    """
    answer = invocation.call("audit.verify", expect=expect)
    problem = None if answer.get("valid") is True else f"The audit log failed verification: {answer.get('reason')}."
    compared: dict[str, Any] = {}
    if copies:
        from herod_client import Refused  # loaded by the client already

        try:
            compared = _compare(invocation, copies, removed=int(answer.get("removed") or 0))
        except Refused as error:
            if problem is None:
                raise
            compared = {"error": error.message}  # a row that cannot be read, which the verification has named
    different = compared.get("difference")
    if problem is None and different is not None:
        problem = f"The copy does not match the store: {different['message']}."
    if invocation.is_json:
        invocation.show({**answer, "copy": compared} if copies else answer)
    else:
        facts = {name.replace("_", " "): value for name, value in compared.items() if name != "difference"}
        invocation.show({**answer, **{name: value for name, value in facts.items() if value is not None}})
    if problem is None:
        return OK
    if not invocation.is_json:
        print_error(problem, "keep a copy of the store as it is, then compare with a backup")
    return REFUSED


def _compare(invocation: Invocation, copies: tuple[Path, ...], *, removed: int) -> dict[str, Any]:
    """Compare copies with the store's rows, and describe the result."""
    from herod_cli.shared.audit_comparison import compare  # reads files with the daemon's code

    def fetch(after: int) -> list[dict[str, Any]]:
        items = invocation.call("audit.list", after=after, limit=PAGE).get("items")
        return [invocation.check_object(item) for item in items] if isinstance(items, list) else []

    rekeyed = max(_newest(invocation, operation=operation) for operation in REKEYING)
    found = compare(copies, fetch, removed=removed, rekeyed=rekeyed)
    newest = _newest(invocation)
    return {
        "lines": found.lines,
        "equal": found.equal,
        "removed_by_retention": found.removed,
        "first": found.first,
        "last": found.last or None,
        "only_in_store_before": None if found.first is None else max(0, found.first - 1 - removed),
        "only_in_store_after": max(0, newest - max(found.last, removed)),
        "cut": list(found.cut) or None,
        "difference": None if found.difference is None else asdict(found.difference),
    }


def _follow(invocation: Invocation, wanted: dict[str, Any], limit: int) -> NoReturn:
    """Print the latest rows and then each new one; waits while the daemon is unreachable."""
    from herod_client import NotAuthenticated, Refused, Unreachable  # keeps `--help` fast

    last = _newest(invocation)
    shown = invocation.items("audit.list", limit=limit, **wanted)[::-1]
    last = max(last, *(item["seq"] for item in shown)) if shown else last
    _print(invocation, shown, has_titles=True)
    is_away, tries = False, 0
    while True:
        time.sleep(POLL_SECONDS)
        try:
            for items, reached in _new_rows(invocation, wanted, last):
                _print(invocation, items, has_titles=False)
                last = reached
            is_away, tries = False, 0
        except (NotAuthenticated, Refused, Unreachable) as error:
            is_strange = isinstance(error, NotAuthenticated)
            if is_strange and tries >= STRANGER_TRIES:
                raise
            if isinstance(error, Refused) and not is_strange and error.code != "unavailable":
                raise
            tries += is_strange
            if not is_away:
                print_notice(f"herod: {error.message} Waiting for it.")
            is_away = True


def _new_rows(invocation: Invocation, wanted: dict[str, Any], last: int) -> Iterator[tuple[list[dict[str, Any]], int]]:
    """Yield pages of rows after `last`, each with the `seq` it reaches, counting rows that the filter skips."""
    newest = _newest(invocation)
    if newest < last:
        print_notice("herod: the audit log starts over: the store was replaced or restored.")
        yield [], newest
    while last < newest:
        page = invocation.call("audit.list", after=last, limit=PAGE, **wanted)
        items = [invocation.check_object(item) for item in page.get("items") or []]
        is_over = not items or page.get("next_cursor") is None
        last = max([newest if is_over else last, *(item["seq"] for item in items)])
        yield items, last


def _newest(invocation: Invocation, **wanted: str) -> int:
    """The number of the newest row that matches; 0 if none does."""
    items = invocation.items("audit.list", limit=1, **wanted)
    return int(items[0].get("seq", 0)) if items else 0


def _print(invocation: Invocation, items: list[dict[str, Any]], *, has_titles: bool) -> None:
    if invocation.is_json:
        print_lines(to_json(item, indent=-1) for item in items)
    else:
        print_lines(_table(items, has_titles=has_titles))
    sys.stdout.flush()


def _table(items: Iterable[dict[str, Any]], *, has_titles: bool) -> list[str]:
    """Format rows in columns of fixed widths, since later rows are not known yet."""
    available = terminal_width()
    room = available - sum(width + GAP for _, _, width, _ in COLUMNS if width) + GAP
    if room < 0:  # too narrow for columns
        lines = ("  ".join(show(_cell(item, field)) for _, field, least, _ in COLUMNS if least) for item in items)
        return [part for line in lines for part in flow(line, available)]
    widths = []
    for title, _, least, most in COLUMNS:
        more = min(most - least, room if least else max(room - GAP, 0))
        width = least + more if least or more >= len(title) else 0
        room -= width - least + (GAP if width and not least else 0)
        widths.append(width)
    rows = [[title for title, *_ in COLUMNS]] if has_titles else []
    rows += [[show(_cell(item, field)) for _, field, _, _ in COLUMNS] for item in items]
    return [
        (" " * GAP)
        .join(pad(fit(cell, width), width) for cell, width in zip(row, widths, strict=True) if width)
        .rstrip()
        for row in rows
    ]


def _cell(item: dict[str, Any], field: str) -> object:
    if field == "time":
        return str(item.get("at"))[:19].replace("T", " ")
    if field == "result":
        word = "ok" if item.get("outcome") == "ok" else item.get("reason") or item.get("outcome")
        count = item.get("count", 1)
        return word if count == 1 else f"{count}x {word}"
    return item.get(field)
