#!/bin/sh
# herod, from its own environment; -I keeps the caller's folder, PYTHONPATH and packages out of it.
exec /usr/local/lib/herod/bin/python -I -m herod "$@"
