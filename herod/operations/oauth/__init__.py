"""OAuth 2.0 for apps: registration, requests at `/authorize`, consent, and the grants that follow from it."""

from herod.operations.oauth.authorization_answers import Redirection
from herod.operations.oauth.authorization_parameters import Authorize
from herod.operations.oauth.authorize import NextStep
from herod.operations.oauth.consent import Choice, ConsentView, Question

__all__ = ["Authorize", "Choice", "ConsentView", "NextStep", "Question", "Redirection"]
