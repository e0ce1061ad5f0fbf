"""The protocols: thin translations of the operation table, without sockets."""
