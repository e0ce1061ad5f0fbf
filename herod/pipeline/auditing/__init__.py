"""The audit log's rows of calls: which there are, and where denials wait."""
