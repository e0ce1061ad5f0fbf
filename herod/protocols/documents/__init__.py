"""What herod says of itself: OpenAPI, OpenRPC, OAuth metadata and JWKS, made from the operation table."""
