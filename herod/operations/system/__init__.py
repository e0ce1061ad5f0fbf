"""The daemon itself: health, overview, metrics, backup, explain."""
