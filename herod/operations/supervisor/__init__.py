"""Hero Supervisor's methods over herod's service keys."""
