"""`herod doctor` and its checks."""
