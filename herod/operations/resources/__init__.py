"""Resources: what services keep here for others, owned by a secret."""
