"""The documents that describe herod: OpenAPI, OpenRPC, OAuth metadata and JWKS, derived from the operation table."""
