"""How much a caller may give, have and make: grants, privileges, quotas and rates."""
