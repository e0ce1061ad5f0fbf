"""OAuth apps that an admin registers: add, show, change, give a new secret, delete."""

from herod.operations.apps.app_parameters import ALGORITHMS, GRANT_TYPES
from herod.operations.apps.registration_rules import check_app, parse_addresses

__all__ = ["ALGORITHMS", "GRANT_TYPES", "check_app", "parse_addresses"]
