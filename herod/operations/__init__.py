"""What can be done: one file per capability, one pipeline in front of them all."""
