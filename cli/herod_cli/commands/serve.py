"""`herod serve`: runs the daemon. The only command that imports it."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import click
from click.core import ParameterSource

from herod.settings import MANAGER_VARIABLES, OPTIONS, load_settings
from herod.settings.setting_kinds import SWITCH, Option
from herod_cli.click_base_classes import HerodCommand, WholeNumber
from herod_cli.exit_codes import OK

__all__ = ["serve"]


def _click_option(option: Option) -> Callable[..., Any]:
    """A setting as an option of the command line."""
    default = option.shown if option.default in (None, (), False) else str(option.default)
    text = option.help + ("" if default == "none" else f" Default: {default}.")
    shape: dict[str, Any] = {"metavar": option.metavar}
    if option.kind is SWITCH:
        shape = {"is_flag": True}
    elif option.kind.choices:
        shape = {"type": click.Choice(option.kind.choices)}
    elif option.kind.bounds is not None:
        low, high = map(int, option.kind.bounds)
        shape["type"] = WholeNumber(low, high)
    return click.option(option.flag, multiple=option.kind.is_list, help=text.replace("`", ""), **shape)


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OPTIONS.values()):
        if option.is_flag:
            command = _click_option(option)(command)
    return command


@click.command(
    cls=HerodCommand,
    asks=False,
    prints=False,
    examples=[
        "HERO_SECRET_FILE=hero_secret herod serve",
        "herod serve --bootstrap-admin-key my-admin",
        "herod serve --bind unix:/run/herod/herod.sock,mode=0666 --store memory:",
        "herod serve --admin-secret @legacy-admin.txt --registration closed",
    ],
)
@_with_options
def serve(**options: object) -> int:
    """Run the daemon.

    It needs a secret: HERO_SECRET, HERO_SECRET_FILE or the systemd credential hero_secret; `herod secret generate`
    makes one. Every option can also be set as a variable HEROD_… or in the TOML file; the command line takes precedence
    over the environment, and that over the file.
    """
    source = click.get_current_context().get_parameter_source
    given = {name: value for name, value in options.items() if source(name) is ParameterSource.COMMANDLINE}
    # A reload reads the files again, and the environment as it was at the start.
    load = partial(load_settings, given, dict(os.environ), uid=os.getuid(), pid=os.getpid())
    settings = load()
    for name in MANAGER_VARIABLES:
        os.environ.pop(name, None)

    # The daemon costs ten times the command: it is imported only once the settings are good.
    from herod.app import run

    try:
        return run(settings, load=load)
    except KeyboardInterrupt:
        return OK
