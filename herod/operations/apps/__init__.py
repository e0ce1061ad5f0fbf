"""OAuth apps that an admin registers: add, show, change, give a new secret, delete."""
