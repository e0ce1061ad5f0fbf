"""Sockets: how they come to be, listen, are passed on, and carry bytes with or without TLS."""
