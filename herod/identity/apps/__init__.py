"""Apps and their credentials: OAuth clients that act only for a person who agreed."""
