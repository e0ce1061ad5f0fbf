"""The store: the protocol in `store_interface`, the embedded store in `sqlite`, the in-memory one in `memory_store`."""
