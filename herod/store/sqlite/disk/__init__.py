"""The database on the disk: its files, their owner, opening them, and what can be wrong with them."""
