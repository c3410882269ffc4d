"""The entry point of `fintts` and `python -P -m fintts_cli`: sets up Python and its streams, then
loads the program so that Ctrl-C works from the start."""

import gc
import sys

from fintts_cli.interpreter import begin_properly

GARBAGE_THRESHOLD = 100_000
"""objects"""


def _interrupt(_number: int, _frame: object) -> None:
    """Makes a signal that ends the program act as Ctrl-C does: nothing half done stays behind."""
    raise KeyboardInterrupt


def main(*, as_module: bool = False) -> None:
    """Runs the command line; an interruption never shows a traceback."""
    begin_properly(as_module=as_module)
    # Only now: until here the current folder may have been where modules are looked for.
    import signal

    from fintts_store.output.streams import take_over

    take_over()
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
    main(as_module=True)
