"""How it is asked: thin translations of the operation table, without sockets."""
