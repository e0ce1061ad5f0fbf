"""`herod export` and `herod import`: move accounts, keys and apps. They open the store, not the daemon."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from herod.input_text import parse_secret
from herod_cli.click_base_classes import HerodCommand
from herod_cli.exit_codes import FailureError
from herod_cli.invocation_context import Invocation, pass_invocation
from herod_cli.offline.restore import load, with_store_options
from herod_cli.shared.output import clean, plural, print_json, print_lines, print_notice
from herod_cli.shared.secret_files import read_named

if TYPE_CHECKING:
    from herod.maintenance.export_accounts import Export
    from herod.maintenance.import_accounts import Import
    from herod.settings import Settings
from herod_cli.shared.atomic_file import whole_file

__all__ = ["export", "import_"]

STANDARD: Final = "-"


@click.command(
    cls=HerodCommand,
    asks=False,
    examples=[
        "HERO_SECRET_FILE=hero_secret herod export",
        "herod export monday.export --store sqlite:/var/lib/herod/herod.db",
        "herod export - --to-secret @other_secret > other.export",
    ],
)
@click.argument("file", required=False)
@click.option(
    "--to-secret", metavar="@FILE", help="File with the secret that encrypts the export. Default: HERO_SECRET."
)
@with_store_options
@pass_invocation
def export(invocation: Invocation, /, file: str | None, to_secret: str | None, **options: object) -> None:
    """Write all accounts, keys and apps to FILE, encrypted.

    Stop the daemon first, and use the secret and store of `herod serve`. Passwords, client secrets and keys keep
    working after `herod import`. Without FILE, writes herod-TIME.export in the current directory; - is standard
    output. The file (0600) is TOML encrypted with AES-256-GCM; nothing is ever written unencrypted.
    """
    settings = load(options)
    secret = None if to_secret is None else _load_new_secret(to_secret, options)

    from herod.maintenance.export_accounts import export_accounts

    if file == STANDARD:
        if sys.stdout.isatty():
            raise FailureError("An encrypted file cannot be written to a terminal.", hint="name a file, or use a pipe")
        done = export_accounts(settings, secret=secret)
        sys.stdout.flush()
        sys.stdout.buffer.write(done.content)
        sys.stdout.buffer.flush()
        print_notice(f"{_content(done)} of {clean(done.store)}")
        return
    path = Path(file) if file is not None else Path(f"herod-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.export")
    done = _write(path, settings, secret)
    opens = "HERO_SECRET" if to_secret is None else f"the secret in {to_secret.removeprefix('@')}"
    invocation.done(
        {"saved_to": str(path), "accounts": done.accounts, "keys": done.keys, "apps": done.apps},
        f"{_content(done)} are in {path} (0600). It opens with {opens}: anyone with both can guess the passwords "
        "offline, so send them separately.",
    )


def _content(done: "Export") -> str:
    return _counts(done.accounts, done.keys, done.apps)


def _counts(accounts: int, keys: int, apps: int) -> str:
    """How many records moved; apps are named if there are any."""
    counts = [plural(accounts, "account"), plural(keys, "key"), *([plural(apps, "app")] if apps else [])]
    return f"{', '.join(counts[:-1])} and {counts[-1]}"


def _write(path: Path, settings: "Settings", secret: str | None) -> "Export":
    """Export to a new file, atomically."""
    from herod.maintenance.export_accounts import export_accounts

    with whole_file(path) as target:
        done = export_accounts(settings, secret=secret)
        target.write(done.content)
    return done


@click.command(
    cls=HerodCommand,
    asks=False,
    examples=[
        "herod import monday.export --dry-run",
        "herod import monday.export --from-secret @other_secret",
        "HERO_SECRET_FILE=hero_secret herod import users.toml --skip-existing",
    ],
)
@click.argument("file")
@click.option(
    "--from-secret",
    metavar="@FILE",
    help="The secret that FILE was encrypted with, if not HERO_SECRET; @- reads it from standard input.",
)
@click.option(
    "--skip-existing", is_flag=True, help="Skip and list entries that exist already; otherwise they are an error."
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and change nothing.")
@with_store_options
@pass_invocation
def import_(
    invocation: Invocation,
    /,
    file: str,
    from_secret: str | None,
    skip_existing: bool,  # noqa: FBT001 - click's
    dry_run: bool,  # noqa: FBT001 - click's
    **options: object,
) -> None:
    """Import accounts, keys and apps from another herod, or Hero Auth.

    Stop the daemon first, and use the secret and store of `herod serve`; a missing store is created. FILE is from
    `herod export`, or is Hero Auth's encrypted user file; - is standard input. All of it is imported, or nothing;
    nothing existing is overwritten. To inspect a file, use --dry-run with an empty --store.
    """
    settings = load(options, changes_store=not dry_run)
    secret = None if from_secret is None else _load_old_secret(from_secret)

    from herod.maintenance.import_accounts import import_accounts

    path = Path("/dev/stdin" if file == STANDARD else file)
    done = import_accounts(settings, path, secret=secret, skip_existing=skip_existing, dry_run=dry_run)
    if invocation.is_json:
        print_json(_answer(done))
    else:
        print_lines([clean(line) for line in _report(done)])
    for warning in _warnings(done):
        print_notice(f"herod: warning: {clean(warning)}")


def _load_new_secret(text: str, options: dict[str, object]) -> str:
    from herod.settings import load_new_secret  # only offline commands read settings

    warnings: list[str] = []
    is_weak_allowed = bool(options.get("allow_weak_secret"))
    path = Path(text.removeprefix("@"))
    secret = load_new_secret(path, warnings, is_weak_allowed=is_weak_allowed, where="--to-secret")
    for warning in warnings:
        print_notice(f"herod: warning: {warning}")
    return secret


def _load_old_secret(text: str) -> str:
    """Read the secret of an export: from a file, with or without @, or, with a warning, the text itself."""
    from herod.settings import load_old_secret

    if text in {"-", "@-"}:
        return read_named(text, "secret")
    if text.startswith("@"):
        return load_old_secret(Path(text[1:]), where="--from-secret")
    try:
        is_file = Path(text).is_file()
    except (OSError, ValueError):
        is_file = False
    if is_file:
        return load_old_secret(Path(text), where="--from-secret")
    print_notice(
        "herod: warning: there is no such file, so --from-secret is used as the secret itself: every user of this "
        "machine can see it, use --from-secret @FILE"
    )
    return parse_secret(text, "--from-secret")


def _answer(done: "Import") -> dict[str, object]:
    def listed(triples: list[tuple[str, str, str]], what: str) -> list[dict[str, str]]:
        return [{"kind": kind, "id": id_, what: value} for kind, id_, value in triples]

    return {
        "store": done.store,
        "is_new": done.is_new,
        "dry_run": done.is_dry_run,
        "accounts": done.accounts,
        "keys": done.keys,
        "apps": done.apps,
        "skipped": listed(done.skipped, "why"),
        "admins": listed(done.admins, "name"),
        "revived": listed(done.revived, "name"),
        "without_secret": [id_ for _, id_ in done.without_secret],
        "unknown_scopes": listed(done.unknown_scopes, "scopes"),
        "unknown_networks": listed(done.unknown_networks, "networks"),
        "unread": list(done.unread),
    }


def _report(done: "Import") -> list[str]:
    verb = "Would import" if done.is_dry_run else "Imported"
    place = f"{done.store}, which is new" if done.is_new else done.store
    lines = [f"{verb} {_counts(len(done.accounts), len(done.keys), len(done.apps))} into {place}."]
    lines += [f"skipped: {kind} {label}: {why}" for kind, label, why in done.skipped]
    commands = {"account": "user", "app": "app"}
    lines += [
        f"no client secret: `herod {commands[kind]} rotate-secret {id_}` creates one"
        for kind, id_ in done.without_secret
    ]
    return lines


def _warnings(done: "Import") -> list[str]:
    lines = [f"ADMIN: {kind} {id_} ({name})" for kind, id_, name in done.admins]
    lines += [
        f"DELETED BEFORE: {kind} {id_} ({name}) is valid again, with the secrets of the file"
        for kind, id_, name in done.revived
    ]
    lines += [
        f"{kind} {id_} has a scope that is unknown here and grants nothing: {names}"
        for kind, id_, names in done.unknown_scopes
    ]
    lines += [
        f"{kind} {id_} has a network that the settings do not list: {names}"
        for kind, id_, names in done.unknown_networks
    ]
    if done.unread:
        lines.append(f"not understood and ignored: {', '.join(done.unread)}")
    return lines
