"""The way in, for `fintts` and `python -m fintts_cli`: loads the program within reach of Ctrl-C."""

import gc
import signal
import sys

GARBAGE_THRESHOLD = 100_000
"""objects"""


def _interrupt(_number: int, _frame: object) -> None:
    """Whoever ends the program gets what Ctrl-C gives: nothing half done stays behind."""
    raise KeyboardInterrupt


def main() -> None:
    """Runs the command line; an interruption at any moment of it is no traceback."""
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
