"""Signing in and out, and staying signed in: `herod login`, `herod logout`, and what they save."""
