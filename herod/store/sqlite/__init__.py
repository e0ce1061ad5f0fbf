"""The embedded store: SQLite through apsw, sealed rows, group commit."""
