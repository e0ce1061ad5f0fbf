"""`herod secret …`: the secret that the daemon is started with. Asks no daemon."""

import base64
import secrets
from typing import Final

import click

from herod_cli.commands import HerodGroup
from herod_cli.failures import FailureError
from herod_cli.files import SavedSecret
from herod_cli.invocation import Invocation, pass_invocation
from herod_cli.output import print_json, print_lines

__all__ = ["secret"]

SECRET_BYTES: Final = 32  # 256 bits, what HS256 wants (RFC 7518, section 3.2)


@click.group(cls=HerodGroup, asks=False, examples=["herod secret generate --output-file hero_secret"])
def secret() -> None:
    """The daemon's own secret."""


@secret.command(
    asks=False,
    examples=[
        "herod secret generate --output-file hero_secret",
        "HERO_SECRET_FILE=hero_secret herod serve",
        'export HERO_SECRET="$(herod secret generate)"',
    ],
)
@click.option("--output-file", metavar="FILE", help="Write it to a new FILE (0600) instead of printing it.")
@pass_invocation
def generate(invocation: Invocation, output_file: str | None) -> None:
    """Make a HERO_SECRET: 256 random bits.

    Whoever has it can make tokens and open the store. It is printed once and kept nowhere.
    """
    if output_file is not None:
        with SavedSecret(output_file) as place:
            text = _generate()
            if place.write(text):
                answer = {"saved_to": output_file}
                invocation.done(answer, f"A new secret is in {output_file} (0600): HERO_SECRET_FILE={output_file}")
                return
        # Nothing depends on it yet, so unlike a key that the daemon made it is not shown: another one is as good.
        raise FailureError("No secret was kept.", hint="make room on that disk, or name another file")
    text = _generate()
    if invocation.is_json:
        print_json({"secret": text})
    else:
        print_lines([text])


def _generate() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode()
