"""The `herod` command: what people and scripts type. Asks the daemon through `herod_client`."""
