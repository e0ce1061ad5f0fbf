"""`python -m herod` is the `herod` command."""

from herod_cli.main import main

if __name__ == "__main__":
    main()
