"""Pages for signing in, and for going on with a session."""
