"""Access tokens: issued, validated, introspected, revoked, and the feed for local verifiers."""
