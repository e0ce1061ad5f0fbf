"""Hero Supervisor's methods, implemented with herod's service keys."""
