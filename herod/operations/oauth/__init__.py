"""OAuth 2.0 for apps: registration, consent and the grants that follow from it."""
