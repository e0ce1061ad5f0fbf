"""docs/configuration.md matches the tables in the code: every option, limit and number."""

from pathlib import Path

import click
import pytest

from herod.credentials import passwords
from herod.identity import one_time_codes, runtime_state, verified_token_cache
from herod.operations.accounts import first_admin
from herod.operations.audit import retention
from herod.operations.resources import owned_resources
from herod.operations.sessions import session_lifecycle, terminal_sign_in_codes
from herod.operations.tokens import change_feed
from herod.pipeline import audit_recorder, denial_queue, pagination, text_normalization
from herod.pipeline.process import legacy_secret_usage, worker_thread
from herod.protocols import decode, http, jsonrpc
from herod.protocols.responses import MAX_ANSWER_BYTES
from herod.server import dashboard_requests, response_writer
from herod.server.connection_limits import Limits
from herod.settings import LIMITS, OPTIONS, SECRETS
from herod.settings.setting_kinds import Option
from herod.store import record_cache, store_interface
from herod.store.sqlite import sqlite_store, threaded_audit_scans
from herod.throttle import limiter, rules
from herod_cli.commands.serve import serve
from herod_client.core import access_tokens, grants, scope_graph

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
SERVER = Limits()

# subject → the fixed number that bounds it
FIXED: dict[str, float] = {
    "headers in a request": SERVER.headers,
    "bytes of a request's body": http.MAX_BODY,
    "seconds that a refused client's input is still read": SERVER.linger_seconds,
    "bytes of that input": SERVER.linger_bytes,
    "bytes of answers that a client has not read yet, on one connection": SERVER.unsent_bytes,
    "the same on all connections of one source": SERVER.unsent_bytes_of_source,
    "the same on all connections": SERVER.unsent_bytes_in_all,
    "bytes of the kernel's send buffer for a TCP client": SERVER.send_buffer_bytes,
    "bytes of the kernel's receive buffer for a TCP client": SERVER.receive_buffer_bytes,
    "seconds of waiting for a request or its rest, after which a connection may be replaced": SERVER.evict_seconds,
    "depth of JSON": decode.MAX_DEPTH,
    "items in a JSON-RPC batch": jsonrpc.MAX_BATCH,
    "bytes of the answer to a batch": jsonrpc.MAX_BATCH_BYTES,
    "bytes of the answers to unfinished batches of one source": jsonrpc.MAX_UNFINISHED_BYTES_OF_SOURCE,
    "the same of all sources": jsonrpc.MAX_UNFINISHED_BYTES,
    "bytes of an answer, unless it is a stream or a document": MAX_ANSWER_BYTES,
    "entries in a page of a list": store_interface.MAX_PAGE,
    "bytes of a page of a list, as JSON": pagination.MAX_PAGE_BYTES,
    "bytes of sealed records that are read for one page, not counting the last one": store_interface.MAX_READ_BYTES,
    "networks in one list": grants.MAX_NETWORKS,
    "names in one scope": scope_graph.MAX_SCOPES,
    "characters of one scope": scope_graph.MAX_SCOPE_CHARS,
    "characters of an access token": access_tokens.MAX_TOKEN_CHARS,
    "characters of its `sub` or `jti`": access_tokens.MAX_ID_CHARS,
    "seconds that another issuer's clock may be ahead": access_tokens.CLOCK_SKEW,
    "characters of a password, at least": passwords.MIN_CHARS,
    "characters of a password, at most": passwords.MAX_CHARS,
    "characters of a name": text_normalization.MAX_NAME,
    "characters of an email address": text_normalization.MAX_EMAIL,
    "password hashes at a time": worker_thread.MAX_WORKERS,
    "password hashes waiting": worker_thread.MAX_WAITING_WORK,
    "seconds that a dashboard session lasts": session_lifecycle.SESSION_TTL,
    "seconds that a code of `herod ui` is valid": terminal_sign_in_codes.CODE_SECONDS,
    "seconds that a code for the first admin is valid": first_admin.FIRST_CODE_SECONDS,
    "codes of one kind at a time": one_time_codes.MAX_CODES,
    "codes of one principal at a time": one_time_codes.MAX_CODES_OF_ONE,
    "bytes of memory for the data behind codes of one kind": one_time_codes.MAX_CODE_BYTES,
    "seconds that a page of the dashboard may take": dashboard_requests.PAGE_SECONDS,
    "bytes of a page": dashboard_requests.PAGE_BYTES,
    "pages rendered at once": dashboard_requests.PAGES_AT_ONCE,
    "scopes": scope_graph.MAX_SCOPES,
    "kinds of denial with audit rows of their own, in one minute": denial_queue.MAX_KINDS,
    "the same of one source": denial_queue.MAX_KINDS_OF_SOURCE,
    "audit rows that one principal writes in an hour, except admins; further ones are combined": (
        audit_recorder.ROWS_OF_PRINCIPAL
    ),
    "the same of all principals of one source": audit_recorder.ROWS_OF_SOURCE,
    "kinds of audit row that are combined at a time": audit_recorder.MAX_COUNTED,
    "audit rows that retention removes in one transaction": retention.ROWS_AT_ONCE,
    "scans of the whole audit log at a time": threaded_audit_scans.SCANS_AT_ONCE,
    "sources of one legacy secret that the audit log names in a day": legacy_secret_usage.MAX_SOURCES,
    "seconds after which uses of legacy secrets are written to the store": legacy_secret_usage.FLUSH_SECONDS,
    "seconds for which a wrong password or secret counts": rules.PAIR.window,
    "wrong passwords for one account from one source, before it is locked": rules.PAIR.limit or 0,
    "the same from all of 127.0.0.0/8": rules.LOOPBACK.limit or 0,
    "wrong legacy secrets from one source, before it is locked": rules.LEGACY.limit or 0,
    "requests of one principal from one source for resources that were not found, before it is locked": (
        rules.OWNERSHIP.limit or 0
    ),
    "seconds for which such a request counts": rules.OWNERSHIP.window,
    "characters of a resource's secret": owned_resources.MAX_SECRET,
    "attributes of a resource": owned_resources.MAX_ATTRIBUTES,
    "bytes of them, as JSON": owned_resources.MAX_ATTRIBUTE_BYTES,
    "wrong passwords for one account, or from one source, before sign-ins there are delayed": rules.DELAYS[0][0],
    "seconds of that delay, at most": rules.DELAYS[-1][1],
    "delayed sign-ins of one source at a time": rules.MAX_DELAYED_PER_SOURCE,
    "registrations attempted from one source": rules.REGISTRATION.limit or 0,
    "seconds for which a registration counts": rules.REGISTRATION.window,
    "requests at a time that wait for the change feed": change_feed.WAITING,
    "the same from one source": change_feed.WAITING_OF_SOURCE,
    "the same of one principal": change_feed.WAITING_OF_PRINCIPAL,
    "seconds that one of them waits, at most": change_feed.MAX_WAIT_SECONDS,
    "records kept in memory": sqlite_store.CACHED_RECORDS,
    "bytes of all of these records": record_cache.CACHED_BYTES,
    "grants kept in memory": runtime_state.MAX_GRANTS,
    "bytes of all of these grants": runtime_state.MAX_GRANT_BYTES,
    "verified tokens kept in memory": verified_token_cache.MAX_VERIFIED,
    "bytes of all of these tokens": verified_token_cache.MAX_VERIFIED_BYTES,
    "sets of scopes kept in memory": scope_graph.MAX_REMEMBERED,
    "prepared response headers kept in memory": response_writer.MAX_PREFIXES,
    "bytes of each of them": response_writer.MAX_PREFIX_BYTES,
    "credentials whose last use is not written yet": sqlite_store.MAX_NOTED,
    "counts of guesses that are not written yet": limiter.MAX_UNWRITTEN,
}


def show(value: object) -> str:
    """A default as the page shows it."""
    if isinstance(value, bool):
        return "off"
    return "`" + (" ".join(map(str, value)) if isinstance(value, tuple) else str(value)) + "`"


def option_row(option: Option) -> str:
    """An option's row in the page."""
    name = f"`{option.flag}`" if option.is_flag else "-"
    key = f"`{option.name}`" if option.in_file else "-"
    default = option.shown if option.default in (None, ()) else show(option.default)
    return f"| {name} | `{option.variable}` | {key} | {default} | {option.help} |"


def limit_row(name: str) -> str:
    """A limit's row in the page."""
    limit = LIMITS[name]
    low, high = limit.kind.bounds or (0, 0)
    return f"| `{name}` | {limit.default} | {low} to {high} | {limit.help} |"


ROWS = [
    *map(option_row, OPTIONS.values()),
    *map(limit_row, LIMITS),
    *(f"| {what} | {number:g} |" if number < 1e5 else f"| {what} | {number} |" for what, number in FIXED.items()),
]


@pytest.mark.parametrize("row", ROWS)
def test_row(row: str) -> None:
    """Every option, limit and fixed number has its row, word for word."""
    assert row in PAGE.read_text().splitlines()


def test_no_row_too_many() -> None:
    """The page's tables have no row that is not in the code."""
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    heads = [line for line in rows if line not in ROWS]
    assert len(rows) - len(heads) == len(ROWS)
    assert len(heads) == 3  # the headers of the tables


def test_secrets() -> None:
    """Each source of a secret is documented."""
    page = PAGE.read_text()
    for secret in SECRETS:
        for name in (secret.variable, secret.file_variable, secret.credential):
            assert f"`{name}`" in page


def test_command_line() -> None:
    """`herod serve` has exactly the options of the table, each once."""
    flags = [name for parameter in serve.params if isinstance(parameter, click.Option) for name in parameter.opts]
    ours = [option.flag for option in OPTIONS.values() if option.is_flag]
    assert sorted(set(flags) - {"--help", "-h"}) == sorted(ours)
