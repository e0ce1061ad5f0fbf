"""A module for each command group that calls the daemon or runs it."""
