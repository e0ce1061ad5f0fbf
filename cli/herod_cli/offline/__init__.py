"""Commands that open the store themselves, without the daemon."""
