"""Twenty-four black-box checks of a live herod: this package imports nothing from herod.

It speaks plain HTTP, so that it can also check another version, an install, or a rewrite. It is safe against a daemon
in use: everything it creates has a random name that begins with `smoke-`, and is deleted at the end.
"""
