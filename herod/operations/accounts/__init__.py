"""Accounts: administration, signing in by password, registration, the first admin."""
