"""`herod serve`: runs the daemon. The only command that imports it."""

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import click
from click.core import ParameterSource

from herod_cli.click_base_classes import HerodCommand
from herod_cli.exit_codes import OK

__all__ = ["serve"]

OPTIONS: Final = (
    click.option(
        "--config",
        metavar="FILE",
        help="TOML file with these settings. Default /etc/herod/herod.toml, then"
        " $XDG_CONFIG_HOME/herod/herod.toml, if there.",
    ),
    click.option(
        "--bind",
        multiple=True,
        metavar="ADDR",
        help="unix:/path[,mode=0660][,peer=off], ADDRESS:PORT or fd://N; repeatable, and naming any replaces all."
        " Default a Unix socket, 127.0.0.1 and [::1].",
    ),
    click.option(
        "--port", type=click.IntRange(0, 65535), metavar="N", help="Port of the default TCP addresses (3350)."
    ),
    click.option("--tls-cert", metavar="FILE", help="Certificate chain of the TCP addresses (PEM)."),
    click.option("--tls-key", metavar="FILE", help="Its private key (PEM)."),
    click.option("--insecure", is_flag=True, help="Allow TCP beyond loopback without TLS."),
    click.option(
        "--store",
        metavar="URL",
        help="sqlite:/path or memory:. Default $STATE_DIRECTORY/herod.db, else $XDG_STATE_HOME/herod/herod.db (as"
        " root /var/lib/herod/herod.db).",
    ),
    click.option("--issuer", metavar="TEXT", help="Issuer of plain tokens (hero_auth)."),
    click.option("--public-url", metavar="URL", help="Issuer of audience tokens and of the metadata."),
    click.option("--signing", type=click.Choice(["HS256", "EdDSA"]), help="How tokens are signed (HS256)."),
    click.option("--token-ttl", type=click.IntRange(min=1), metavar="S", help="Seconds an access token lives (3600)."),
    click.option("--registration", type=click.Choice(["open", "closed"]), help="May anybody register (open)?"),
    click.option("--bootstrap-admin-key", metavar="NAME", help="Create a service key with scope admin, once."),
    click.option(
        "--admin-secret",
        multiple=True,
        metavar="@FILE",
        help="Legacy secret for scope admin; repeatable.",
    ),
    click.option("--user-secret", multiple=True, metavar="@FILE", help="Legacy secret for scope user; repeatable."),
    click.option(
        "--register-secret",
        multiple=True,
        metavar="@FILE",
        help="Legacy secret for scope registrar; repeatable.",
    ),
    click.option(
        "--audit-keep-days", type=click.IntRange(min=1), metavar="N", help="Days the audit log goes back (365)."
    ),
    click.option(
        "--audit-keep-rows", type=click.IntRange(min=1000), metavar="N", help="Rows of the audit log (1000000)."
    ),
    click.option("--allow-weak-secret", is_flag=True, help="Accept a HERO_SECRET under 32 bytes."),
    click.option("--log-format", type=click.Choice(["text", "json"]), help="Default text on a terminal, else json."),
    click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        help="What is logged (info).",
    ),
)


def _with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OPTIONS):
        command = option(command)
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
    makes one. Every option is also a variable HEROD_… and a key of the TOML file; the command line comes before the
    environment, and that before the file.
    """
    # The daemon costs ten times the command: only `serve` pays, and only once its settings are good.
    from herod.settings import MANAGER_VARIABLES, load_settings

    source = click.get_current_context().get_parameter_source
    given = {name: value for name, value in options.items() if source(name) is ParameterSource.COMMANDLINE}
    # A reload reads the files again, and the environment as it was at the start.
    load = partial(load_settings, given, dict(os.environ), uid=os.getuid(), pid=os.getpid())
    settings = load()
    for name in MANAGER_VARIABLES:
        os.environ.pop(name, None)

    from herod.app import run

    try:
        return run(settings, load=load)
    except KeyboardInterrupt:
        return OK
