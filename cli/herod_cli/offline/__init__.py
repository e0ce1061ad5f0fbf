"""Commands that work on the store itself and ask no daemon."""
