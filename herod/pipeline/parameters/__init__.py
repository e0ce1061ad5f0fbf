"""Parameters of operations: their types for the documents, and the one normal form of each text."""
