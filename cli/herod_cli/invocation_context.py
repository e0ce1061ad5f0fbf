"""One run of the command: its global options, the daemon's address, the credential, and the output format.

The client is created for the first request and closed at the end. Only this file decides which credential is used:
the command line, then the environment, then what `herod login` saved for this address, then the uid.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import click

from herod_cli.shared.output import Column, print_json, print_notice, print_record, print_sentence, print_table
from herod_cli.shared.secret_files import read_named, read_secret
from herod_cli.shared.whole_numbers import MAX_UID, parse_whole

if TYPE_CHECKING:
    from herod_cli.sign_in.saved_sign_ins import SignIn
    from herod_client import Address, Client, Identity

__all__ = ["CONNECT_TIMEOUT", "REQUEST_TIMEOUT", "Invocation", "pass_invocation"]

CONNECT_TIMEOUT: Final = 10.0
REQUEST_TIMEOUT: Final = 30.0
PAGE: Final = 200  # the maximum page size of list operations


@dataclass
class Invocation:
    """The global options, and what is derived from them.

    Attributes:
        url, key, token: as given; None if the option was not given.
        insecure_http: send long-lived secrets over plain http:// too.
        server_uid: whose process may listen on the Unix socket, besides root; None for the default.
        who: after `identity()`: a hint about the credential, for when it is refused.
        asked: the operation that was called last.
        sign_in: after `identity()`: the saved sign-in whose token is presented, if it is one.
    """

    url: str | None = None
    key: str | None = None
    token: str | None = None
    server_uid: int | None = None
    insecure_http: bool = False
    peer: bool = False
    output: str = "table"
    timeout: float = REQUEST_TIMEOUT
    who: str | None = None
    asked: str | None = None
    sign_in: "SignIn | None" = field(default=None, repr=False)
    _address: "Address | None" = field(default=None, repr=False)
    _client: "Client | None" = field(default=None, repr=False)

    @property
    def is_json(self) -> bool:
        """Whether the output is JSON, for scripts."""
        return self.output == "json"

    def address(self) -> "Address":
        """The daemon's address.

        Raises:
            InvalidInput: `--url` or HEROD_URL is not a valid address.
            Unreachable: no address was given and no socket exists.
        """
        from herod_client import find_address, parse_address  # keeps `--help` fast

        if self._address is None:
            self._address = find_address(os.environ) if self.url is None else parse_address(self.url)
        return self._address

    def identity(self) -> "Identity | None":
        """The credential to present; None for the default: the uid on a Unix socket, nothing over TCP.

        Raises:
            UsageError: two credentials were given.
        """
        from herod_client import Bearer, PeerIdentity

        given = [name for name in ("key", "token", "peer") if getattr(self, name)]
        if len(given) > 1:
            raise click.UsageError(f"--{given[0]} and --{given[1]} are mutually exclusive: give one of them.")
        if self.peer:
            self.who = _who_am_i()
            return PeerIdentity()
        for name in ("key", "token"):
            text = getattr(self, name)
            if text is not None:
                self.who = f"the {name} came from --{name}: check the file, and that this is the daemon it is for"
                return self._bearer(Bearer(read_secret(text, name, option=f"--{name}")))
        return self._from_environment() or self._from_saved()

    def _from_environment(self) -> "Identity | None":
        from herod_client import Bearer

        names = [name for name in ("HEROD_KEY", "HEROD_TOKEN") if name in os.environ]
        if len(names) > 1:
            raise click.UsageError("HEROD_KEY and HEROD_TOKEN are both set: unset one, or give --key or --token.")
        if not names:
            return None
        if not os.environ[names[0]].strip():  # it was meant to be presented, not whatever would be without it
            raise click.UsageError(f"{names[0]} is empty: set it to a credential, or unset it.")
        self.who = f"the credential came from {names[0]}: check it, and that this is the daemon it is for"
        return self._bearer(Bearer(read_named(os.environ[names[0]], names[0])))

    def _from_saved(self) -> "Identity | None":
        from herod_cli.sign_in.saved_sign_ins import SavedSignIns, credentials_path  # keeps `--help` fast
        from herod_client import Bearer, UnixAddress

        found = None
        if "HOME" in os.environ or "XDG_CONFIG_HOME" in os.environ:
            found = SavedSignIns(credentials_path(os.environ)).current(str(self.address()), time.time())
        if found is not None:
            self.who = "what `herod login` saved was presented: `herod login` signs in anew, `herod logout` removes it"
            self.sign_in = found
            if found.refresh_token is not None and not found.is_live(time.time()):
                self._renew(found)
            return self._bearer(Bearer(self.sign_in.access_token))
        if isinstance(self.address(), UnixAddress):
            self.who = _who_am_i()
        else:
            self.who = "no credential was presented: use --key @FILE, or sign in with `herod login`"
        return None

    def _renew(self, former: "SignIn") -> None:
        from herod_cli.sign_in.lasting_sign_ins import renew  # most commands find a token that is still good

        self.sign_in = renew(self, former)

    def _bearer(self, identity: "Identity") -> "Identity":
        from herod_client import TcpAddress

        address = self.address()
        if isinstance(address, TcpAddress) and not (address.secure or address.is_loopback):
            print_notice(f"herod: warning: the credential is sent unencrypted to {address}: use https://")
        return identity

    def server(self) -> int | None:
        """The uid whose process may listen on the Unix socket, besides root; None for herod's user or this one.

        Raises:
            UsageError: HEROD_SERVER_UID is not a uid.
        """
        text = os.environ.get("HEROD_SERVER_UID", "")
        if self.server_uid is not None or not text:
            return self.server_uid
        uid = parse_whole(text, 0, MAX_UID)
        if uid is None:
            raise click.UsageError("HEROD_SERVER_UID is not a user id: give a number.")
        return uid

    def is_insecure_http(self) -> bool:
        """Whether long-lived secrets are sent over plain http:// too.

        Raises:
            UsageError: HEROD_INSECURE_HTTP is neither yes nor no.
        """
        text = os.environ.get("HEROD_INSECURE_HTTP", "").lower()
        if self.insecure_http or text in {"1", "true", "yes", "on"}:
            return True
        if text not in {"", "0", "false", "no", "off"}:
            raise click.UsageError("HEROD_INSECURE_HTTP is neither on nor off: give 1 or 0.")
        return False

    def client(self) -> "Client":
        """The client, shared by the whole run."""
        from herod_client import Bearer

        if self._client is None:
            identity = self.identity() if self.sign_in is None else self._bearer(Bearer(self.sign_in.access_token))
            self._client = self.make_client(identity)
            click.get_current_context().call_on_close(self._client.close)
        return self._client

    def make_client(self, identity: "Identity | None") -> "Client":
        """Create a separate client for a command that presents another credential; the caller closes it."""
        from herod_client import Client

        return Client(
            self.address(),
            identity=identity,
            timeout=self.timeout,
            connect_timeout=min(CONNECT_TIMEOUT, self.timeout),
            server_uid=self.server(),
            insecure_http=self.is_insecure_http(),
        )

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call an operation with the parameters that are not None.

        Raises:
            BadAnswer: the result is not an object.
        """
        given = {name: value for name, value in params.items() if value is not None}
        self.asked = method
        client = self.client()
        from herod_client import NotAuthenticated  # loaded by the client already

        try:
            return self.check_object(client.call(method, given))
        except NotAuthenticated:
            former = self.sign_in
            if former is None or former.refresh_token is None:
                raise
            self._renew(former)  # its token has ended during a long command, or since the daemon changed its keys
            self._client = None
        return self.check_object(self.client().call(method, given))

    def check_object(self, result: object) -> dict[str, Any]:
        """Return `result`, which must be an object.

        Raises:
            BadAnswer: it is not.
        """
        from herod_client import BadAnswer

        if isinstance(result, dict):
            return result
        raise BadAnswer(
            f"The answer from {self.address()} is not herod's.",
            hint="check that the daemon and this command are of the same version: `herod doctor`",
        )

    def items(self, method: str, *, limit: int | None, **params: object) -> list[dict[str, Any]]:
        """Fetch all items of a list operation, page by page, up to `limit`.

        Raises:
            BadAnswer: a page has the wrong shape.
        """
        found: list[dict[str, Any]] = []
        cursors: set[str] = set()
        cursor: str | None = None
        while True:
            size = PAGE if limit is None else min(PAGE, limit - len(found))
            page = self.call(method, limit=size, cursor=cursor, **params)
            items, cursor = page.get("items"), page.get("next_cursor")
            found += (
                [self.check_object(item) for item in items] if isinstance(items, list) else [self.check_object(items)]
            )
            if cursor is None or cursor in cursors or (limit is not None and len(found) >= limit):
                return found[:limit]
            cursors.add(cursor)

    def show(self, answer: Mapping[str, Any], *, fields: tuple[str, ...] | None = None) -> None:
        """Print an answer: all of it as JSON, or for people the `fields` that it has, in that order."""
        if self.is_json:
            print_json(answer)
        else:
            names = tuple(answer) if fields is None else fields
            print_record({name: answer[name] for name in names if name in answer})

    def show_items(self, items: list[dict[str, Any]], columns: tuple[Column, ...], *, empty: str) -> None:
        """Print a list: as JSON in the operation's own shape, for people as a table."""
        if self.is_json:
            print_json({"items": items, "next_cursor": None})
        else:
            print_table(columns, items, empty=empty)

    def done(self, answer: Mapping[str, Any], sentence: str) -> None:
        """Report success: the answer for scripts, a sentence for people."""
        if self.is_json:
            print_json(answer)
        else:
            print_sentence(sentence)


def _who_am_i() -> str:
    uid = os.geteuid()
    return (
        f"you asked as uid {uid}; an admin can allow it with `herod peer allow --uid {uid} --scope read`,"
        " or use --key @FILE"
    )


pass_invocation = click.make_pass_decorator(Invocation)
