"""The way in, for `fintts` and `python -m fintts_cli`: loads the program within reach of Ctrl-C."""

import signal
import sys


def main() -> None:
    """Runs the command line; an interruption at any moment of it is no traceback."""
    try:
        from fintts_cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
