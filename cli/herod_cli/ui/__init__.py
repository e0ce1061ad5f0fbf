"""`herod ui`: the dashboard in a browser, and the relay from a local port to a Unix socket."""
