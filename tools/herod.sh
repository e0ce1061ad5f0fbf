#!/bin/sh
# Run herod from its own environment; -I ignores the caller's directory, PYTHONPATH and user packages.
exec /usr/local/lib/herod/bin/python -I -m herod "$@"
