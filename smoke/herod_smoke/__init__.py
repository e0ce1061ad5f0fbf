"""Twenty-four checks of a live herod, from outside: this package imports nothing of herod's.

It speaks plain HTTP to whatever answers, so that it also judges another version, an install, or a rewrite. It is safe
against a daemon in use: all that it makes has a random name that begins with `smoke-`, and is deleted at the end.
"""
