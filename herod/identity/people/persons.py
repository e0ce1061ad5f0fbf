"""Whether a session is a person's: only such a one consents to what an app asks, approves, and enrols passkeys.

A person's session is that of an account, opened by a passkey, or by a password and, where the account has a second
factor or must have one, that too. `herod ui`, an API key, a client or legacy secret, a peer rule and the local admin
open sessions too, but any program that holds the credential could do that.
Must never take a token, a key or a secret for a person, whatever it may do.
"""

from typing import Final

from herod.scopes.principal import AuthMethod, Principal, PrincipalKind

__all__ = ["RECENT_SECONDS", "is_person"]

# How old a sign-in may be for what changes how one signs in, and for what a person agrees to: five minutes.
RECENT_SECONDS: Final = 300
# What only a person can present, so far as herod can know.
_BY_PERSONS: Final = frozenset({AuthMethod.PASSWORD, AuthMethod.PASSKEY})


def is_person(principal: Principal) -> bool:
    """Whether the principal is the session of a person who signed in themselves."""
    return (
        principal.kind is PrincipalKind.ACCOUNT
        and principal.method is AuthMethod.SESSION
        and principal.made_with in _BY_PERSONS
        and not principal.lacks_factor
    )
