"""`herod ui`: the dashboard in a browser, and the port that leads it to a Unix socket."""
