"""Scopes in plain words: what an app that is given one can do."""

from typing import Final

from herod.identity.apps.openid_scopes import EMAIL, GROUPS, OFFLINE_ACCESS, OPENID, PROFILE
from herod.operations.oauth import Choice
from herod_client.core.scope_graph import ADMIN, READ, REGISTRAR, USER, WRITE

__all__ = ["scope_words", "words_of"]

# name → (what the app may do, what follows from it)
WORDS: Final = {
    READ: ("Look things up", "It sees what you see, and changes nothing."),
    WRITE: ("Change things", "It changes what you may change, in services that take this scope."),
    USER: ("Use services in your name", "It claims and manages resources, and runs jobs, as you."),
    REGISTRAR: ("Register runners", "It adds runners and machines to services that take this scope."),
    ADMIN: ("Act as an admin", "It sees and does what admins may, but makes and changes no accounts, keys or secrets."),
    OPENID: ("Know who you are", "It gets the id of your account."),
    PROFILE: ("See your name", "It gets the name of your account."),
    EMAIL: ("See your email address", "It gets the address, and whether an admin has confirmed it."),
    GROUPS: ("See your scopes", "It gets the names of the scopes that you have here, and may decide by them."),
    OFFLINE_ACCESS: ("Stay connected", "It works on while you are away, until the end below."),
}


def scope_words(choice: Choice) -> tuple[str, str]:
    """What a choice is called, and its effect; of scopes that the settings add, only which ones they include."""
    return words_of(choice.name)


def words_of(name: str) -> tuple[str, str]:
    """What a scope is called, and its effect, as for a choice."""
    title, effect = WORDS.get(name, (f"Have the scope {name}", "The services that take it say what it does."))
    return title, effect
