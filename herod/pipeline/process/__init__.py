"""What one process knows besides the store: how it was set up, and what it has counted and found."""
