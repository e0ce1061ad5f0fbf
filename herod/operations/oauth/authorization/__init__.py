"""Requests at `/authorize`, the answers to apps, and authorization codes."""
