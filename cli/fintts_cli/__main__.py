"""The way in, for `fintts` and `python -P -m fintts_cli`: settles how Python and its streams work,
and loads the program within reach of Ctrl-C."""

import sys

from fintts_cli.interpreter import begin_properly

GARBAGE_THRESHOLD = 100_000
"""objects"""


def _interrupt(_number: int, _frame: object) -> None:
    """Whoever ends the program gets what Ctrl-C gives: nothing half done stays behind."""
    raise KeyboardInterrupt


def main(*, as_module: bool = False) -> None:
    """Runs the command line; an interruption at any moment of it is no traceback."""
    begin_properly(as_module=as_module)
    # Only now: until here the current folder may have been where modules are looked for.
    import gc
    import signal

    from fintts_store.streams import take_over

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
