"""Doctor checks of the daemon: its address, whether it answers, and who you are to it."""

import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import click

from herod_cli.doctor.account_checks import check_daemon_user
from herod_cli.doctor.findings import Finding, fail, ok, warn
from herod_cli.doctor.port_holders import describe_holder
from herod_cli.exit_codes import FailureError
from herod_cli.invocation_context import Invocation
from herod_cli.shared.cli_version import cli_version
from herod_client import Anonymous, Client, ClientError, NotAuthenticated, TcpAddress, UnixAddress
from herod_client.addresses import candidate_sockets
from herod_client.connection_diagnosis import owner
from herod_client.credentials import read_cookie

__all__ = ["check_daemon"]

Answers: TypeAlias = tuple[object, object]

JWKS: Final = "/.well-known/jwks.json"
SERVER_METADATA: Final = "/.well-known/oauth-authorization-server"
# What a daemon says that no browser can reach (RFC 6761, section 6.4).
NOWHERE: Final = "http://herod.invalid"
# A legacy secret that was not used for this long can be removed.
QUIET: Final = timedelta(days=30)


def check_daemon(invocation: Invocation) -> Iterator[Finding]:
    """Check from the address to the identity; checks that depend on a failed one are skipped.

    It asks first, and looks at the socket's files then: a service that is started by the first connection writes them.
    """
    answers = _ask(invocation)
    if invocation.url is None and not os.environ.get("HEROD_URL"):
        yield from _check_candidates()
    try:
        address = invocation.address()
    except ClientError as error:
        yield fail("address", error.message, error.hint)
        return
    if isinstance(address, UnixAddress):
        yield from _check_socket(address, is_running=not isinstance(answers, ClientError))
        yield from check_daemon_user(address)
    elif not (address.secure or address.is_loopback):
        yield warn(
            "address", f"{address} is another machine without TLS: secrets are sent unencrypted.", "use https://"
        )
    try:
        client = invocation.client()
    except (ClientError, FailureError, click.UsageError) as error:
        yield fail("credential", error.message, getattr(error, "hint", None))
        # Endpoints that need no credential can still be checked.
        client = invocation.make_client(None)
        click.get_current_context().call_on_close(client.close)
    yield from _check_answers(invocation, client, answers)


def _ask(invocation: Invocation) -> Answers | ClientError:
    """The answers to health and version, which need no credential."""
    try:
        with invocation.make_client(Anonymous()) as client:
            return client.get("/health", allow=(503,)), client.get("/api/version")
    except ClientError as error:
        return error


def _check_candidates() -> Iterator[Finding]:
    for address in candidate_sockets(os.environ):
        try:
            found = Path(address.path).stat()
        except FileNotFoundError:
            yield ok("looked", f"{address.path}: does not exist")
        except OSError as error:
            yield warn("looked", f"{address.path}: {error.strerror}", "run this as a user who may enter that folder")
        else:
            kind = "socket" if stat.S_ISSOCK(found.st_mode) else "not a socket"
            yield ok("looked", f"{address.path}: {kind}, {owner(found)}")


def _check_socket(address: UnixAddress, *, is_running: bool) -> Iterator[Finding]:
    folder = Path(address.path).parent
    try:
        found, above = Path(address.path).stat(), folder.stat()
    except OSError:
        return  # connecting reports the reason better
    if not os.access(address.path, os.W_OK):
        group = owner(found).rpartition(":")[2]
        yield fail(
            "socket",
            f"{address.path} is {owner(found)}: you (uid {os.geteuid()}) may not connect.",
            f"join its group (usermod -aG {group} USER, then log in again), or run this as its owner"
            if found.st_mode & stat.S_IWGRP and group != "root"
            else f"run this as its owner, or serve with --bind unix:{address.path},mode=0666",
        )
    if above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX:
        # Like `serve`, which refuses to start if everyone can, and warns if a group can.
        judge = fail if above.st_mode & stat.S_IWOTH else warn
        yield judge(
            "socket-folder",
            f"{folder} is {owner(above)}: others can replace herod's socket with their own.",
            f"chmod 755 {folder}",
        )
    elif above.st_uid not in {found.st_uid, 0}:
        yield warn("socket-folder", f"{folder} belongs to another user than the socket: {owner(above)}.")
    yield from _check_cookie(address, is_running=is_running)


def _check_cookie(address: UnixAddress, *, is_running: bool) -> Iterator[Finding]:
    cookie = Path(address.cookie_path)
    try:
        found = cookie.stat()
    except FileNotFoundError:
        if is_running:  # otherwise nobody has written one
            yield warn(
                "cookie",
                f"{cookie} does not exist: this socket has no local admin.",
                "start the daemon without peer=off if its owner should need no key",
            )
        return
    except OSError as error:
        yield warn("cookie", f"{cookie}: {error.strerror}")
        return
    if found.st_mode & 0o077:
        yield fail("cookie", f"{cookie} is {owner(found)}: others can read it.", f"chmod 600 {cookie}; restart herod")
    elif read_cookie(address) is None:
        yield ok("cookie", f"You cannot read {cookie}, so you are not local admin here.")
    else:
        yield ok("cookie", f"You can read {cookie}: as its owner or root you are local admin.")


def _check_answers(invocation: Invocation, client: Client, answers: Answers | ClientError) -> Iterator[Finding]:
    if isinstance(answers, ClientError):
        yield fail("daemon", answers.message, answers.hint)
        return
    health, version = answers
    if not isinstance(health, dict) or not isinstance(version, dict) or health.get("service") != "herod":
        yield fail("daemon", f"The server at {client.address} is not herod.", "give the daemon's address as --url")
        return
    yield ok("daemon", f"The daemon answers at {client.address}.")
    if health.get("status") == "ok":
        yield ok("health", "The daemon is healthy.")
    else:
        why = f": {health['reason']}" if health.get("reason") else ""
        yield fail(
            "health",
            f"The daemon is {health.get('status')}{why}.",
            "then repeat what was revoked, disabled or deleted meanwhile: its log names that, and a restart undoes it",
        )
    yield from _check_addresses(health.get("missing_addresses"))
    yield from _check_public_url(client)
    yield _check_version(version.get("version"))
    yield _check_identity(invocation, client)
    yield from _check_audit_file(client)
    yield from _check_public_keys(client)
    yield from _check_legacy(client)
    yield from _check_passkeys(client)


def _check_passkeys(client: Client) -> Iterator[Finding]:
    """Report passkeys of another host than the public URL's; nothing if the caller may not know of them."""
    try:
        answer = client.call("attention")
    except ClientError:
        return
    items = answer.get("items") if isinstance(answer, dict) else None
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and item.get("code") == "passkeys_stranded":
            yield warn("passkeys", str(item.get("message")), str(item.get("fix")))


def _check_public_keys(client: Client) -> Iterator[Finding]:
    """Report an Ed25519 key among keys of other kinds: older libraries then read none of them."""
    try:
        answer = client.get(JWKS, identity=Anonymous())
    except ClientError:
        return
    listed = answer.get("keys") if isinstance(answer, dict) else None
    kinds = {one.get("kty") for one in listed if isinstance(one, dict)} if isinstance(listed, list) else set()
    if "OKP" in kinds and len(kinds) > 1:
        yield warn(
            "public-keys",
            f"There is an Ed25519 key among those at {JWKS}: Apache's mod_auth_openidc, HAProxy, jsonwebtoken and "
            "python-jose cannot read it, and some libraries then read none.",
            "if an app cannot verify its tokens, use RS256 or ES256 for all of them (`herod app edit APP --algorithm "
            'RS256`) and signing = "HS256" for herod, and restart it: the key is gone after another token_ttl',
        )


def _check_audit_file(client: Client) -> Iterator[Finding]:
    """Report whether audit rows reach the audit file; nothing if there is none, or the caller may not know."""
    try:
        stats = client.call("stats")
    except ClientError:
        return
    state = stats.get("audit_file") if isinstance(stats, dict) else None
    if state == "ok":
        yield ok("audit-file", "Audit rows reach the audit file.")
    elif state is not None:
        yield fail(
            "audit-file",
            f"{stats.get('audit_waiting')} audit rows have not reached the audit file.",
            "read the daemon's log, which has the reason, and fix it: the rows wait in the store",
        )


def _check_addresses(missing: object) -> Iterator[Finding]:
    """Report the addresses where the daemon should listen and does not, and who listens there."""
    addresses = [one for one in missing if isinstance(one, str)] if isinstance(missing, list) else []
    if not addresses:
        return
    holders = [text for one in addresses if (text := describe_holder(one)) is not None]
    who = f" Who has it: {'; '.join(holders)}." if holders else ""
    fix = "stop that process; herod takes the address within 30 seconds, or at once at a reload (SIGHUP)"
    yield fail(
        "addresses",
        f"The daemon does not listen on {' and '.join(addresses)}, and whoever does gets what clients send there.{who}",
        fix if holders else "read the daemon's log, which says why; `--bind` names where it listens",
    )


def _check_public_url(client: Client) -> Iterator[Finding]:
    """Report where browsers and apps reach the daemon, and what keeps people from having passkeys there."""
    try:
        answer = client.get(SERVER_METADATA, identity=Anonymous())
    except ClientError:
        return
    url = answer.get("issuer") if isinstance(answer, dict) else None
    if not isinstance(url, str):
        return
    if url == NOWHERE:
        yield ok("public-url", "No browser can reach the daemon, so nobody signs in at its pages.")
        return
    parts = urlsplit(url)
    fix = "set public_url to http://localhost:PORT, or to https:// with a name"
    if _is_address(parts.hostname or ""):
        yield warn("public-url", f"The public URL is {url}, and a passkey cannot belong to an address.", fix)
    elif parts.scheme != "https" and parts.hostname != "localhost":
        yield warn("public-url", f"The public URL is {url}, and browsers offer no passkeys without TLS.", fix)
    else:
        yield ok(
            "public-url",
            f"Browsers and apps reach the daemon at {url}. Passkeys belong to that name: under another one "
            "nobody can use them, and everybody sets up new ones.",
        )


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _check_legacy(client: Client) -> Iterator[Finding]:
    """Report legacy secrets that are still used, and those to remove; nothing if the caller may not list them."""
    for item in _legacy_secrets(client):
        name, setting = item.get("id"), item.get("setting")
        if not item.get("uses"):
            yield warn("legacy", f"{name} was never used here.", f"remove it from {setting}; SIGHUP or restart herod")
            continue
        last = str(item.get("last_used_at"))[:10]
        if last < (datetime.now(UTC) - QUIET).date().isoformat():
            yield warn("legacy", f"{name} has not been used since {last}.", f"remove it from {setting}")
            continue
        count = "once" if item["uses"] == 1 else f"{item['uses']} times"
        used = f"{name} is still used: {count}, last on {last} from {item.get('last_used_from')}."
        if item.get("promoted_to"):
            fix = f"give its users key {item['promoted_to']}; once they stop, remove it from {setting}"
        else:
            fix = f"herod legacy promote {name}"
        yield warn("legacy", used, fix)


def _legacy_secrets(client: Client) -> Iterator[dict[str, Any]]:
    """Yield the legacy secrets in the settings, page by page; none if the caller may not list them."""
    cursors: list[str] = []
    while True:
        try:
            answer = client.call("legacy.status", {"cursor": cursors[-1]} if cursors else None)
        except ClientError:
            return
        page = answer if isinstance(answer, dict) else {}
        items = page.get("items")
        yield from items if isinstance(items, list) else []
        cursor = page.get("next_cursor")
        if not isinstance(cursor, str) or cursor in cursors:
            return
        cursors.append(cursor)


def _check_version(theirs: object) -> Finding:
    ours = cli_version()
    if theirs == ours:
        return ok("version", f"The daemon and this command are both {ours}.")
    return warn(
        "version", f"The daemon is {theirs}, this command is {ours}.", "restart the daemon, or update the older one"
    )


def _check_identity(invocation: Invocation, client: Client) -> Finding:
    try:
        who = client.call("whoami")
    except NotAuthenticated as error:
        hint = invocation.who or error.hint
        if isinstance(client.address, TcpAddress):
            hint = hint or "use --key @FILE"
        return warn("identity", f"You are not authenticated: {error.message}", hint)
    except ClientError as error:
        return fail("identity", error.message, error.hint)
    if not isinstance(who, dict):
        return fail("identity", "The answer to whoami is not one that this command knows.", "compare the versions")
    return ok("identity", f"You are {who.get('name')} ({who.get('kind')}), by {who.get('method')}: {who.get('scope')}.")
