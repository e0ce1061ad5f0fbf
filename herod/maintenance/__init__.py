"""What works on a store without requests: before the daemon's first one, or while no daemon has it.

The commands among these (restore, export, import, rotate) are composed here as `app.py` composes the daemon. Each takes
the store's lock first, so that a running daemon refuses it.
"""
