"""`python -m fintts_cli` is `fintts`."""

from fintts_cli.app import main

if __name__ == "__main__":
    main()
