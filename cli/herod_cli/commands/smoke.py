"""`herod smoke`: the 24 checks of `herod-smoke`, as a command of herod."""

from typing import Any

import click

from herod_cli.click_base_classes import HerodCommand
from herod_smoke.main import Asked, check
from herod_smoke.main import smoke as herod_smoke

__all__ = ["smoke"]


@click.command(
    cls=HerodCommand,
    asks=False,
    params=list(herod_smoke.params),
    examples=[
        "herod smoke",
        "herod smoke --url https://auth.example.org --admin-key @admin.key",
        "herod smoke --format junit > smoke.xml",
        "herod smoke --only login --only token",
    ],
)
def smoke(**options: Any) -> int:
    """Run 24 checks against a live daemon.

    It creates accounts and keys whose names begin with smoke- and deletes them at the end.
    """
    return check(Asked(**options))
