"""API keys: made, listed, rotated, disabled, deleted."""
