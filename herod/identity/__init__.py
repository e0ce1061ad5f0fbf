"""Identification: from a presented credential to a `Principal`, and the parent credential of a token or session."""
