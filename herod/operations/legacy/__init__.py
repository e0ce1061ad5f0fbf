"""Secrets from older systems, and the way out of them."""
