"""Code that the daemon and its clients share: errors, scopes and grants, key and token formats.

Imports neither the daemon nor the client.
"""
