"""Sockets: creating, inheriting and listening, and sending bytes with or without TLS."""
