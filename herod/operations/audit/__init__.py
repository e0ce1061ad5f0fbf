"""The audit log: read, verified, and kept as long as the settings say."""
