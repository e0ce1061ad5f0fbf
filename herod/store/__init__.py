"""Where records are kept: the protocol in `base`, the embedded store in `sqlite`, its fake in `memory`."""
