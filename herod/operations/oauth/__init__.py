"""OAuth 2.0 for apps: registration, requests at `/authorize`, consent, and the grants that follow from it."""

from herod.operations.oauth.authorization_answers import Redirection
from herod.operations.oauth.authorization_parameters import Authorize
from herod.operations.oauth.authorize import NextStep
from herod.operations.oauth.consent import ConsentView, Question
from herod.operations.oauth.consent_choices import Choice
from herod.operations.oauth.device_consent import DeviceDecision, DeviceQuestion, DeviceRequest

__all__ = [
    "Authorize",
    "Choice",
    "ConsentView",
    "DeviceDecision",
    "DeviceQuestion",
    "DeviceRequest",
    "NextStep",
    "Question",
    "Redirection",
]
