"""The `herod` command: what people and scripts type. It calls the daemon through `herod_client`."""
