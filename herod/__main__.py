"""`python -m herod` is the `herod` command."""

import sys

from herod_cli.main import main

if __name__ == "__main__":
    sys.exit(main())
