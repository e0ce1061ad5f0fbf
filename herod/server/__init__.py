"""Sockets and processes: bytes in, bytes out. Knows HTTP's framing and nothing of what is asked."""
