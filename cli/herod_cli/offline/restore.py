"""`herod restore`, and what it shares with `herod secret rotate`. They open the store, not the daemon."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from herod_cli.click_base_classes import HerodCommand
from herod_cli.exit_codes import USAGE, FailureError
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.shared.output import clean, plural, print_json, print_lines, print_notice

if TYPE_CHECKING:
    from herod.maintenance.restore import Restoration
    from herod.settings import Settings

__all__ = ["load", "restore", "with_store_options"]

STORE_OPTIONS: Final = (
    click.option("--store", metavar="URL", help="The store, sqlite:/path, as for `herod serve`."),
    click.option("--config", metavar="FILE", help="The settings file, as for `herod serve`."),
    click.option("--allow-weak-secret", is_flag=True, help="Accept a secret under 32 bytes."),
)


def with_store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that select the store and settings to a command."""
    for option in reversed(STORE_OPTIONS):
        command = option(command)
    return command


def load(options: Mapping[str, object], *, is_secret_replaced: bool = False, changes_store: bool = True) -> "Settings":
    """Load the settings as `herod serve` would with these options, and let their secret open a store of herod 0.1.

    Args:
        options: of the command line.
        is_secret_replaced: as for `load_settings`.
        changes_store: whether the command may change the store.

    Raises:
        SettingsError: they are invalid.
        FailureError: no HERO_SECRET is set.
    """
    from herod.settings import load_settings
    from herod_client.core.errors import MissingSecret  # keeps `--help` fast

    given = {name: value for name, value in options.items() if value not in (None, False)}
    try:
        settings = load_settings(given, os.environ, uid=os.getuid(), is_secret_replaced=is_secret_replaced)
    except MissingSecret:
        raise FailureError(
            "No HERO_SECRET is set, and this command opens the store itself.",
            hint="give the daemon's own secret: HERO_SECRET_FILE=FILE before the command",
            exit_code=USAGE,
        ) from None
    if changes_store and settings.former_secret is not None:
        from herod.maintenance.rotate_hero_secret import adopt_secret  # rarely needed

        adopt_secret(settings)
    return settings


@click.command(
    cls=HerodCommand,
    asks=False,
    examples=[
        "HERO_SECRET_FILE=hero_secret herod restore herod-20260501T020000Z.backup",
        "herod restore monday.backup --store sqlite:/var/lib/herod/herod.db",
        "herod restore old.backup --backup-secret-file old_secret",
    ],
)
@click.argument("file")
@click.option(
    "--backup-secret-file",
    metavar="FILE",
    help="The secret that the backup was made with, if not the current one.",
)
@with_store_options
@pass_invocation
def restore(invocation: Invocation, /, file: str, backup_secret_file: str | None, **options: object) -> None:
    """Replace the store with a backup.

    Stop the daemon first, and use the secret and store of `herod serve`. A damaged or incomplete backup changes
    nothing. The previous store is kept under a dated name. What was deleted, revoked or disabled since the backup
    stays so, all tokens and sessions end, and what is valid again is listed.
    """
    settings = load(options)

    from herod.maintenance.restore import restore as put_back
    from herod.settings import load_old_secret
    from herod_client.core.errors import SettingsError

    secret = None
    if backup_secret_file is not None:
        secret = load_old_secret(Path(backup_secret_file), where="--backup-secret-file")
    try:
        done = put_back(settings, Path(file), backup_secret=secret)
    except SettingsError:
        if secret is not None or settings.former_secret is None:
            raise
        done = put_back(settings, Path(file), backup_secret=settings.former_secret)  # herod 0.1 made it
    if invocation.is_json:
        print_json(_answer(done))
    else:
        print_lines([clean(line) for line in _report(done)])
    for warning in (done.unread, done.bad_audit):
        if warning is not None:
            print_notice(f"herod: warning: {clean(_warning(done, warning))}")


def _warning(done: "Restoration", warning: str) -> str:
    if warning == done.unread and done.is_salvaged:
        return (
            f"the previous store is damaged ({warning}): changes since the backup were carried forward as far as they "
            "could be read. Other accounts, keys and tokens that were deleted, disabled or revoked since then are "
            "valid again: look through `herod user list`, `herod key list` and `herod peer list`"
        )
    if warning == done.unread:
        return (
            f"the previous store could not be read ({warning}): all changes since the backup are lost. Accounts, keys "
            "and tokens that were deleted, disabled or revoked since then are valid again: look through `herod user "
            "list`, `herod key list` and `herod peer list`"
        )
    return f"the backup's audit log failed verification: {warning}"


def _answer(done: "Restoration") -> dict[str, object]:
    restored = done.restored
    return {
        "store": done.store,
        "moved_to": done.moved_to,
        "accounts": done.accounts,
        "keys": done.keys,
        "ended_sessions": restored.sessions,
        "revocations": restored.revocations,
        "deleted": [{"kind": kind, "id": id_} for kind, id_ in restored.deleted],
        "disabled": [{"kind": kind, "id": id_} for kind, id_ in restored.disabled],
        "revived": [{"kind": kind, "id": id_, "what": what} for kind, id_, what in restored.revived],
        "carried_forward": done.unread is None,
    }


def _report(done: "Restoration") -> list[str]:
    restored = done.restored
    held = f"{plural(done.accounts, 'account')}, {plural(done.keys, 'key')}"
    lines = [f"Restored {done.store}: {held}. All tokens and sessions have ended."]
    if done.moved_to is not None:
        lines.append(f"The previous store is kept as {done.moved_to}")
    lines += [f"stays deleted: {kind} {id_}" for kind, id_ in restored.deleted]
    lines += [f"stays disabled: {kind} {id_}" for kind, id_ in restored.disabled]
    lines += [f"restored: {kind} {id_} {what}" for kind, id_, what in restored.revived]
    return lines
