"""`herod attention`: what an admin should look at, and what fixes it."""

from collections.abc import Iterator
from typing import Any

import click

from herod_cli.click_base_classes import HerodCommand
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.output import clean, flow, print_lines, print_notice, terminal_width, to_json

__all__ = ["attention"]


@click.command(cls=HerodCommand, examples=["herod attention", "herod attention --output json"])
@pass_invocation
def attention(invocation: Invocation) -> None:
    """List what needs an admin's attention.

    The worst first, each with what fixes it. The dashboard's overview shows the same.
    It needs scope admin. For scripts: `level` is now, soon or consider.
    """
    items = invocation.call("attention")["items"]
    if invocation.is_json:
        print_lines(to_json(items).splitlines())
    elif items:
        print_lines(line for item in items for line in _lines(item))
    else:
        print_notice("Nothing needs attention.")


def _lines(item: dict[str, Any]) -> Iterator[str]:
    width = terminal_width()
    yield from flow(clean(f"{str(item.get('level', '')).capitalize()}: {item.get('message', '')}"), width)
    names = ", ".join(str(one.get("name", "")) for one in item.get("subjects") or [])
    for text in (names, str(item.get("fix") or "")):
        if text:
            yield from flow(clean(f"  {text}"), width, indent=2)
    if item.get("command"):
        yield clean(f"  run: {item['command']}")
