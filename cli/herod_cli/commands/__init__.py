"""A module for each command group that asks the daemon or runs it."""
