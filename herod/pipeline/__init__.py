"""The pipeline that every request passes, the definition of operations, and what all operations share."""
