"""Peer rules: what local users and groups may do without a credential."""
