"""What people granted to apps: list it, show it, take it back."""

from herod.operations.delegations.connected_apps import ConnectedApp

__all__ = ["ConnectedApp"]
