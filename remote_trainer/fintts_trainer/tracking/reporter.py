"""The program of a tracker's own process: it passes what it reads on to the tracker's library.

It runs in an environment that holds that library alone, so it imports nothing of ours. The first
line of stdin describes the run, each other one is a row; the end of stdin ends the run. It writes
JSON lines: `{"url": …}` where the run can be seen, `{"warning": …}` in the library's words, and
`{"trouble": …}` when nothing more is taken.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import warnings
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LAST_SECONDS = 60.0
"""how long this process outlives a trainer that was killed"""


def main(name: str) -> int:
    """Reports one run to the named library; returns the exit code."""
    answers = _own_output()

    def say(kind: str, text: object) -> None:
        answers.write(json.dumps({kind: str(text)}) + "\n")

    def warn(message: Warning | str, *_more: Any, **_others: Any) -> None:
        say("warning", message)

    try:
        library, about = importlib.import_module(name), json.loads(sys.stdin.readline())
        warnings.showwarning = warn  # Trackio's way to say that it cannot reach its server
        run = BEGINNINGS[name](library, about)
        say("url", getattr(run, "url", None) or "")
        for line in sys.stdin:
            row = json.loads(line)
            run.log(row["values"], step=row["step"])
        _end_in_time()
        run.finish()
    except Exception as error:  # whatever the library raises must not end the run
        say("trouble", error)
        return 1
    return 0


def _own_output() -> IO[str]:
    """This process's stdout; what the library prints from now on goes nowhere."""
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return answers


def _wandb(library: Any, about: dict[str, Any]) -> Any:
    """A run that goes on where an earlier instance left it; no code and no console is sent."""
    settings = library.Settings(
        console="off", silent=True, save_code=False, disable_code=True, disable_git=True
    )
    return library.init(
        project=os.environ.get("WANDB_PROJECT", about["project"]),
        name=about["name"],
        id=about["id"],
        resume="allow",
        config=about["config"],
        dir=about["folder"],
        settings=settings,
    )


def _trackio(library: Any, about: dict[str, Any]) -> Any:
    """The same; a Space that does not exist yet becomes a private one."""
    return library.init(
        project=os.environ.get("TRACKIO_PROJECT", about["project"]),
        name=about["name"],
        resume="allow",
        config=about["config"],
        private=True,
        embed=False,
    )


BEGINNINGS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {"wandb": _wandb, "trackio": _trackio}


def _end_in_time() -> None:
    timer = threading.Timer(LAST_SECONDS, os._exit, [1])
    timer.daemon = True
    timer.start()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
