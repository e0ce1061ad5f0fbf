"""Commands that work on the store itself while no daemon has it: restore a backup, change the secret.

Composed here as `app.py` composes the daemon. Each takes the store's lock first, so that a running daemon refuses it.
"""

from herod.offline.restoring import Restoration, restore
from herod.offline.rotating import Rotation, rotate_secret

__all__ = ["Restoration", "Rotation", "restore", "rotate_secret"]
