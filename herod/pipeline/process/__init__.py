"""State of one process besides the store: its configuration, and what it has counted and cached."""
