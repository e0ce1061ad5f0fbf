"""`herod secret …`: the daemon's secret and signing key. Contacts no daemon."""

import base64
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from herod_cli.click_base_classes import HerodGroup, WholeNumber
from herod_cli.exit_codes import FailureError
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.offline.restore import load, with_store_options
from herod_cli.shared.output import print_json, print_lines, print_notice
from herod_cli.shared.secret_files import SavedSecret

if TYPE_CHECKING:
    from herod.maintenance.retire_signing_keys import RotatedKey
    from herod.maintenance.rotate_signing_key import SigningRotation

__all__ = ["secret"]

SECRET_BYTES: Final = 32  # 256 bits, as HS256 requires (RFC 7518, section 3.2)


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
    """Generate a HERO_SECRET: 256 random bits.

    Anyone who has it can create tokens and open the store. It is printed once and not stored.
    """
    if output_file is not None:
        with SavedSecret(output_file) as place:
            text = _generate()
            if place.write(text):
                answer = {"saved_to": output_file}
                invocation.done(answer, f"A new secret is in {output_file} (0600): HERO_SECRET_FILE={output_file}")
                return
        # Nothing depends on it yet, so unlike a key from the daemon it is not printed: the user can generate another.
        raise FailureError("No secret was saved.", hint="free space on that disk, or give another file")
    text = _generate()
    if invocation.is_json:
        print_json({"secret": text})
    else:
        print_lines([text])


@secret.command(
    asks=False,
    examples=[
        "herod secret generate --output-file new_secret",
        "HERO_SECRET_FILE=hero_secret herod secret rotate --new-secret-file new_secret",
        "herod secret rotate --new-secret-file new_secret --compromised",
    ],
)
@click.option("--new-secret-file", required=True, metavar="FILE", help="File with the new secret.")
@click.option("--store-secret", is_flag=True, help="Change HEROD_STORE_SECRET, not HERO_SECRET.")
@click.option(
    "--compromised",
    is_flag=True,
    help="The old one is known to others: it stops working, everything is sealed again, all tokens and sessions end.",
)
@with_store_options
@pass_invocation
def rotate(
    invocation: Invocation,
    /,
    new_secret_file: str,
    store_secret: bool,  # noqa: FBT001 - click's
    compromised: bool,  # noqa: FBT001 - click's
    **options: object,
) -> None:
    """Change the secret that the daemon is started with.

    Stop the daemon first, and use the secret and store of `herod serve`. Until the daemon has started with the new
    secret, both open the store; tokens of the old one stay valid until they expire. It may be interrupted at any
    time, and repeated.
    """
    settings = load(options, is_secret_replaced=True)

    from herod.maintenance.rotate_hero_secret import rotate_secret
    from herod.settings import load_new_secret

    warnings: list[str] = []
    new = load_new_secret(Path(new_secret_file), warnings, is_weak_allowed=bool(options.get("allow_weak_secret")))
    for warning in warnings:
        print_notice(f"herod: warning: {warning}")
    done = rotate_secret(settings, new, is_store_secret=store_secret, is_compromised=compromised)
    if done.untidied is not None:
        print_notice(
            f"herod: warning: the old key may still be found in {done.store} ({done.untidied}): free space on its"
            " disk, and rotate the secret again"
        )
    variable = "HEROD_STORE_SECRET" if store_secret else "HERO_SECRET"
    sentence = (
        f"{done.store} already opens with the new secret: nothing was changed."
        if done.is_done_before
        else f"{done.store} now opens with the new secret: start the daemon with {variable}_FILE={new_secret_file}"
    )
    invocation.done({"store": done.store, "changed": not done.is_done_before}, sentence)


@secret.command(
    asks=False,
    examples=[
        "herod secret rotate-signing",
        "HERO_SECRET_FILE=hero_secret herod secret rotate-signing --token-ttl 900",
        "herod secret rotate-signing --compromised",
    ],
)
@click.option("--token-ttl", type=WholeNumber(1), metavar="S", help="Token lifetime in seconds, as for `herod serve`.")
@click.option(
    "--compromised",
    is_flag=True,
    help="A signing key is known to others: all tokens signed by keys that herod made end at once.",
)
@with_store_options
@pass_invocation
def rotate_signing(
    invocation: Invocation,
    /,
    compromised: bool,  # noqa: FBT001 - click's
    **options: object,
) -> None:
    """Create new keys to sign tokens: the Ed25519 key, and those that sign for apps.

    Stop the daemon first, and use the secret and settings of `herod serve`. Tokens of the old keys stay valid until
    they expire; then the keys are deleted. It may be interrupted at any time; each run creates other keys. With HS256,
    HERO_SECRET is the key: `herod secret rotate` changes it.
    """
    settings = load(options)

    from herod.maintenance.rotate_signing_key import rotate_signing as make_key

    done = make_key(settings, is_compromised=compromised)
    change = done.change
    answer = {
        "store": done.store,
        "keys": [
            {"algorithm": one.algorithm, "for_apps": one.for_apps, "kid": one.current, "retired": one.retired}
            for one in change.rotated
        ],
        "retired_until": None if change.until is None else _time(change.until),
        "dropped": list(change.dropped),
    }
    invocation.done(answer, _signing_sentence(done))


def _signing_sentence(done: "SigningRotation") -> str:
    change = done.change
    if not change.rotated:
        return (
            f"{done.store} no longer has keys that herod made: their tokens have ended. HERO_SECRET signs, as before."
        )
    new = ", ".join(f"{one.current} ({_use_of(one)})" for one in change.rotated)
    sentence = f"{done.store} signs with the new {'key' if len(change.rotated) == 1 else 'keys'} {new}."
    if change.until is None:
        return f"{sentence} All tokens of the keys that herod had made before have ended."
    old = ", ".join(one.retired for one in change.rotated if one.retired is not None)
    return f"{sentence} Tokens of {old} are valid until they expire, at {_time(change.until)} at the latest."


def _use_of(key: "RotatedKey") -> str:
    return f"{key.algorithm}, for apps" if key.for_apps else key.algorithm


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _generate() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode()
