"""Who is this? From a presented credential to a `Principal`, and what a token or session was made with."""
