"""Code that commands share: output, files with secrets, saved tokens."""
