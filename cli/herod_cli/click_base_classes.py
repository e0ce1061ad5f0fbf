"""Base classes of herod's commands: examples in every help, and global options before or after the name.

A command that never contacts a daemon sets `asks=False` and does not offer the connection options.
"""

import importlib
import keyword
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from herod_cli.exit_codes import FailureError
from herod_cli.invocation_context import REQUEST_TIMEOUT, Invocation
from herod_cli.shared.standard_streams import is_output_closed
from herod_cli.shared.whole_numbers import MAX_UID, parse_whole

__all__ = ["HerodCommand", "HerodGroup", "LazyGroup", "WholeNumber"]

MAX_TIMEOUT: Final = 86400
SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 80}


class WholeNumber(click.ParamType[int]):
    """A whole number within bounds, which the messages name; the upper one is optional."""

    name = "number"

    def __init__(self, least: int, greatest: int | None = None) -> None:
        self._least = least
        self._greatest = greatest

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Parse it.

        Raises:
            BadParameter: it is not one, or out of bounds.
        """
        found = parse_whole(str(value), self._least, self._greatest)
        if found is None:
            bounds = (
                f"of at least {self._least}" if self._greatest is None else f"from {self._least} to {self._greatest}"
            )
            self.fail(f"{value!r:.80} is not a whole number {bounds}.", param, ctx)
        return found


class _Text(click.types.StringParamType):
    """A text that is not blank: one from a variable that was never set must not count as left out, nor as a value."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = super().convert(value, param, ctx)
        if isinstance(text, str) and not text.strip():
            leave = "" if isinstance(param, click.Argument) else ", or leave the option out"
            self.fail(f"it is empty: give a value{leave}.", param, ctx)
        return text


class _Seconds(click.ParamType[float]):
    """A timeout in seconds: more than 0, at most a day; NaN is refused."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = 0
        if not 0 < seconds <= MAX_TIMEOUT:
            self.fail(f"invalid duration {value!r}: give seconds, more than 0 and at most {MAX_TIMEOUT}.", param, ctx)
        return seconds


TEXT: Final = _Text()


def _keep(ctx: click.Context, param: click.Parameter, value: object) -> None:
    """Store a global option in the shared invocation; the last one on the command line wins."""
    invocation = ctx.ensure_object(Invocation)
    if ctx.get_parameter_source(param.name or "") is click.core.ParameterSource.COMMANDLINE:
        setattr(invocation, param.name or "", value)


def _global_options() -> list[click.Parameter]:
    """Return new options on each call, since click ties a parameter to its command."""
    return [
        click.Option(
            ["--url"],
            metavar="URL",
            help="The daemon: unix:/path, http://HOST:PORT or https://HOST:PORT. Default: HEROD_URL,"
            " then herod/herod.sock in $XDG_RUNTIME_DIR, $XDG_STATE_HOME/herod/run or /run.",
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
        click.Option(
            ["--insecure-http"],
            is_flag=True,
            help="Send keys, passwords and other long-lived secrets over http:// too, where anybody may listen. Also"
            " HEROD_INSECURE_HTTP=1.",
            expose_value=False,
            callback=_keep,
        ),
        click.Option(
            ["--server-uid"],
            type=WholeNumber(0, MAX_UID),
            metavar="UID",
            help="Whose process may listen on the Unix socket, besides root (default: herod's user or yours). Also"
            " HEROD_SERVER_UID.",
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
        help="Output format (default table).",
        expose_value=False,
        callback=_keep,
    )


class _Documented(click.Command):
    """Base of commands and groups: examples, and global options in a section of their own."""

    def __init__(
        self,
        *args: Any,
        examples: Sequence[str] = (),
        asks: bool = True,
        prints: bool = True,
        **kwargs: Any,
    ) -> None:
        self.examples = tuple(examples)
        self.prints = prints
        shared = _global_options() if asks else [_output_option()] if prints else []
        self.global_names = frozenset(option.name for option in shared)
        kwargs["params"] = [*(kwargs.get("params") or []), *shared]
        for param in kwargs["params"]:
            if param.type is click.STRING:
                param.type = TEXT
        kwargs["context_settings"] = {**SETTINGS, **(kwargs.get("context_settings") or {})}
        super().__init__(*args, **kwargs)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options, then the global ones."""
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
        """Write the examples without rewrapping them."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{example}\n")


class HerodCommand(_Documented):
    """A command."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run it, unless its answer, which may be a new secret, would be lost.

        Raises:
            FailureError: standard output is closed.
        """
        if self.prints and is_output_closed():
            raise FailureError(
                "Standard output is closed, so nothing was done.", hint="add `> /dev/null` if you do not need it"
            )
        return super().invoke(ctx)


class HerodGroup(_Documented, click.Group):
    """A group of commands."""

    command_class = HerodCommand
    group_class = type

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List each command with its whole first sentence, which click would truncate."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(limit=400)) for name, command in commands if command])


class LazyGroup(HerodGroup):
    """The root group: knows each command's module and first help line, and imports only the one that runs.

    Args:
        places: command → (module, first line of its help).
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
        """List the commands in the table's order."""
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        """Import and return a command."""
        if cmd_name not in self.places:
            return None
        attribute = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(importlib.import_module(self.places[cmd_name][0]), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        """List all commands with their first lines, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.places.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve a command as click does, with suggestions for a misspelt name."""
        if args and args[0] not in self.places and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self.places, ctx=ctx)
        return super().resolve_command(ctx, args)
