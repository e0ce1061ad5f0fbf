"""`python -m herod_smoke`."""

from herod_smoke.main import main

if __name__ == "__main__":
    main()
