"""Sockets and processes: bytes in, bytes out. Knows HTTP framing, but nothing about the requests' meaning."""
