"""The database on the disk: its files and their owner, opening them, and checking them for damage."""
