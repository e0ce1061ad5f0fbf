"""Rate limits on attempts: passwords, codes, legacy and ownership secrets, registrations."""
