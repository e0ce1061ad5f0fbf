"""Resources: what services keep in herod for their tenants, opened by a secret."""
