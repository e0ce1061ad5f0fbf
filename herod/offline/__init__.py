"""Commands that work on the store itself while no daemon has it: what `herod --help` calls offline.

Restore a backup, change the secret or the signing key, move accounts and keys out and in.
Composed here as `app.py` composes the daemon. Each takes the store's lock first, so that a running daemon refuses it.
"""

from herod.offline.exporting import Export, export_accounts
from herod.offline.importing import Import, import_accounts
from herod.offline.restoring import Restoration, restore
from herod.offline.rotating import Rotation, rotate_secret
from herod.offline.signing import SigningRotation, rotate_signing

__all__ = [
    "Export",
    "Import",
    "Restoration",
    "Rotation",
    "SigningRotation",
    "export_accounts",
    "import_accounts",
    "restore",
    "rotate_secret",
    "rotate_signing",
]
