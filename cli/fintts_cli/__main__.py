"""The way in, for `fintts` and `python -P -m fintts_cli`: loads the program within reach of Ctrl-C.

Without `-P` Python itself executes a `types.py` of the current folder before this file.
"""

import gc
import os
import signal
import sys

GARBAGE_THRESHOLD = 100_000
"""objects"""


def _interrupt(_number: int, _frame: object) -> None:
    """Whoever ends the program gets what Ctrl-C gives: nothing half done stays behind."""
    raise KeyboardInterrupt


def main() -> None:
    """Runs the command line; an interruption at any moment of it is no traceback."""
    # For what other programs start in this folder, such as SkyPilot's server.
    os.environ["PYTHONSAFEPATH"] = "1"
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # `nohup` ignores the second
            signal.signal(number, _interrupt)
    # Importing makes many objects that live to the end: looking for garbage among them takes a
    # tenth of the time of `fintts estimate`.
    gc.set_threshold(GARBAGE_THRESHOLD)
    try:
        from fintts_cli.app import main as run

        run()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted\n")
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
