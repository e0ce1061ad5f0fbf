"""Legacy secrets of older systems, and their replacement by service keys."""
