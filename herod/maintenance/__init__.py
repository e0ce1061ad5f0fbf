"""Work on a store outside of requests: before the daemon's first one, or while no daemon runs.

The offline commands (restore, export, import, rotate) are composed here, as `app.py` composes the daemon. Each takes
the store's lock first, and so fails while a daemon runs.
"""
