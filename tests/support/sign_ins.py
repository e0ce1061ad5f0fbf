"""Sign-ins to apps in tests: the codes that a person's consent gives, and the id_tokens that come from them."""

from typing import Any

from herod.identity.apps.oauth_apps import AppOrigin, OAuthApp
from herod.operations.openid import issue_id_token
from herod.pipeline.operation_definition import Context
from herod.records import Account, App, AuthorizationCode, TokenFamily
from herod.scopes.principal import ANONYMOUS
from support.herod_in_memory import NOW, TCP, Harness

__all__ = ["ACCESS_TOKEN", "WIKI", "context_of", "id_token_of", "register_wiki", "sign_in_code"]

ACCESS_TOKEN = "eyJ.an-access.token"
WIKI = OAuthApp(
    id="wiki",
    name="Wiki",
    origin=AppOrigin.REGISTERED,
    redirect_uris=("https://wiki.example.org/cb",),
    post_logout_uris=("https://wiki.example.org/bye", "http://127.0.0.1/bye", "org.example.wiki:/bye"),
)


async def register_wiki(harness: Harness, **changes: Any) -> App:
    """Register the app as an admin does."""
    app = App(
        **{
            "id": WIKI.id,
            "created_at": NOW,
            "name": WIKI.name,
            "creator": "test",
            "redirect_uris": WIKI.redirect_uris,
            "post_logout_uris": WIKI.post_logout_uris,
            "scope": ("read",),
            **changes,
        }
    )
    await harness.store.write(lambda tx: tx.put(app))
    return app


def context_of(harness: Harness) -> Context:
    """The context of an operation."""
    return Context(
        runtime=harness.runtime,
        process=harness.pipeline.process,
        principal=ANONYMOUS,
        source=TCP,
        now=harness.clock.now,
    )


def sign_in_code(account: str, scope: str = "openid", **changes: Any) -> AuthorizationCode:
    """A code that an account's sign-in gave the app."""
    return AuthorizationCode(
        **{
            "id": "c0de",
            "created_at": NOW,
            "delegation": "d",
            "account": account,
            "session": "5e55",
            "app": WIKI.id,
            "redirect_uri": WIKI.redirect_uris[0],
            "challenge": "",
            "resource": None,
            "scope": tuple(scope.split()),
            "nonce": "n-0S6_WzA2Mj",
            "auth_time": NOW - 60,
            "amr": ("pwd", "otp", "mfa"),
            **changes,
        }
    )


async def id_token_of(harness: Harness, granted: AuthorizationCode | TokenFamily, app: OAuthApp = WIKI) -> str | None:
    """The id_token of a sign-in, committed as the pipeline does."""
    account = harness.store.get(Account, granted.account)
    assert account is not None
    context = context_of(harness)
    text = await harness.store.write(
        lambda tx: issue_id_token(tx, context, app, account, granted, ACCESS_TOKEN, scope=granted.scope)
    )
    for change in context.on_commit:
        change()
    return text
