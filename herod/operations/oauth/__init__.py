"""OAuth 2.0 for apps: registration, requests at `/authorize`, consent, and the grants that follow from it."""

from herod.operations.oauth.authorization.authorization_answers import Redirection
from herod.operations.oauth.authorization.authorization_parameters import Authorize
from herod.operations.oauth.authorization.authorize import NextStep
from herod.operations.oauth.consent.consent_choices import Choice
from herod.operations.oauth.consent.consent_questions import ConsentView, Question
from herod.operations.oauth.device.device_consent import DeviceDecision, DeviceQuestion, DeviceRequest

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
