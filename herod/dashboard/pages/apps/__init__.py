"""Pages that apps send people to, and pages about apps."""
