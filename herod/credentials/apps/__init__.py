"""Formats of what apps get and send: client ids, redirect URIs, refresh tokens."""
