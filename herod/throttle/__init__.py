"""How often something may be tried: passwords, codes, legacy secrets, registrations."""
