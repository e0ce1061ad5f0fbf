"""What several commands need: output, files with secrets, saved tokens."""
