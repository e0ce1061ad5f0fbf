"""How a command of herod is built: examples in every help, and the global options before or after its name.

A command that never asks a daemon says so (`asks=False`) and does not offer what only matters to one.
"""

import importlib
import keyword
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from herod_cli.invocation_context import REQUEST_TIMEOUT, Invocation

__all__ = ["HerodCommand", "HerodGroup", "LazyGroup"]

MAX_TIMEOUT: Final = 86400
SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 80}


class _Seconds(click.ParamType[float]):
    """A time to wait: over nothing, at most a day, and a number (NaN is none)."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = 0
        if not 0 < seconds <= MAX_TIMEOUT:
            self.fail(f"invalid duration {value!r}: give seconds, over 0 and at most {MAX_TIMEOUT}.", param, ctx)
        return seconds


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Put a global option's value where all of the command line shares it; what stands later wins."""
    invocation = ctx.ensure_object(Invocation)
    if ctx.get_parameter_source(param.name or "") is click.core.ParameterSource.COMMANDLINE:
        setattr(invocation, param.name or "", value)


def _global_options() -> list[click.Parameter]:
    """New ones each time: click ties a parameter to its command."""
    return [
        click.Option(
            ["--url"],
            metavar="URL",
            help="The daemon: unix:/path, http://HOST:PORT or https://HOST:PORT. Without it HEROD_URL,"
            " $XDG_RUNTIME_DIR/herod/herod.sock, /run/herod/herod.sock.",
            expose_value=False,
            callback=_keep,
        ),
        click.Option(
            ["--key"],
            metavar="@FILE|KEY",
            help="API key to present; @- reads it from standard input. Also HEROD_KEY.",
            expose_value=False,
            callback=_keep,
        ),
        click.Option(
            ["--token"],
            metavar="@FILE",
            help="Access token to present. Also HEROD_TOKEN.",
            expose_value=False,
            callback=_keep,
        ),
        click.Option(
            ["--peer"],
            is_flag=True,
            help="Present your uid on the Unix socket, whatever else is set or saved.",
            expose_value=False,
            callback=_keep,
        ),
        _output_option(),
        click.Option(
            ["--timeout"],
            type=_Seconds(),
            metavar="S",
            help=f"Seconds to wait for an answer (default {REQUEST_TIMEOUT:g}; 10 to connect).",
            expose_value=False,
            callback=_keep,
        ),
    ]


def _output_option() -> click.Option:
    return click.Option(
        ["--output"],
        type=click.Choice(["table", "json"]),
        help="For people or for scripts (default table).",
        expose_value=False,
        callback=_keep,
    )


class _Documented(click.Command):
    """What commands and groups share: examples, and global options in a section of their own."""

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str] = (),
        asks: bool = True,
        prints: bool = True,
        **kwargs: Any,
    ) -> None:
        self.examples = tuple(examples)
        shared = _global_options() if asks else [_output_option()] if prints else []
        self.global_names = frozenset(option.name for option in shared)
        kwargs["params"] = [*(kwargs.get("params") or []), *shared]
        kwargs["context_settings"] = {**SETTINGS, **(kwargs.get("context_settings") or {})}
        super().__init__(*args, **kwargs)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's own options, then those that all share."""
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            row = None if isinstance(param, click.Argument) else param.get_help_record(ctx)
            if row is not None:
                (shared if param.name in self.global_names else own).append(row)
        for title, rows in (("Options", own), ("Global options, before or after the command", shared)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows, col_max=22)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """The examples, as they are typed."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")


class HerodCommand(_Documented):
    """A command."""


class HerodGroup(_Documented, click.Group):
    """A group of commands."""

    command_class = HerodCommand
    group_class = type

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The first sentence of each, whole: click would cut it."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(limit=400)) for name, command in commands if command])


class LazyGroup(HerodGroup):
    """The root: knows each command's place and first line, and imports none but the one that runs.

    Args:
        places: command → (module, its first line of help).
    """

    def __init__(
        self,
        *args: Any,
        places: Mapping[str, tuple[str, str]],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.places = places

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands, in the order people meet them."""
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """A command, its module imported."""
        if cmd_name not in self.places:
            return None
        attribute = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(importlib.import_module(self.places[cmd_name][0]), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """The first lines of all commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.places.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with suggestions for a misspelt command."""
        if args and args[0] not in self.places and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self.places, ctx=ctx)
        return super().resolve_command(ctx, args)
