"""Herod: the local auth daemon."""

__version__ = "0.1.0"
