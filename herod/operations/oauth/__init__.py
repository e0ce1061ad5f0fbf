"""OAuth 2.0 for apps: registration, requests at `/authorize`, consent, and the grants that follow from it."""

from herod.operations.oauth.authorization_requests import Authorize, Redirection
from herod.operations.oauth.authorize import NextStep
from herod.operations.oauth.consent import Choice, ConsentView

__all__ = ["Authorize", "Choice", "ConsentView", "NextStep", "Redirection"]
