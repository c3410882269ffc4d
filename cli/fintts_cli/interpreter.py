"""Decides which of the user's Python settings this program and its children obey.

| setting                         | obeyed | because                                               |
|---------------------------------|--------|-------------------------------------------------------|
| the current folder, on the path | no     | a project's `types.py` must not replace Python's own  |
| PYTHONPATH                      | yes    | cluster modules keep torch there; but parts that are  |
|                                 |        | empty or relative name the current folder: dropped    |
| packages of the user's site     | yes    | `pip install --user` puts fintts itself there         |
| PYTHONOPTIMIZE, -O              | no     | help comes from docstrings, and torch uses assert     |
| PYTHONWARNINGS, PYTHONDEVMODE,  | no     | a library's warnings must not end a run, and mean     |
| -W, -X dev                      |        | nothing to the user                                   |
| PYTHONINSPECT, -i               | no     | no one is at the prompt when the program ends         |
| pydantic's plugins              | no     | none may change what a record means, and looking for  |
|                                 |        | them takes a twentieth of a short command             |

Every child therefore gets `-P` or PYTHONSAFEPATH, but never `-I`: it needs packages that may lie in
PYTHONPATH or in the user's site. Nothing can change what Python itself imports before our first
line: `sitecustomize` from PYTHONPATH, and `types` for `python -m` without `-P`.

This module is imported before the path is settled, so it imports only what Python has already
loaded.
"""

import os
import sys

DROPPED = ("PYTHONOPTIMIZE", "PYTHONWARNINGS", "PYTHONDEVMODE", "PYTHONINSPECT")
PROGRAM = "import sys; sys.argv[0] = 'fintts'; from fintts_cli.__main__ import main; main()"


def begin_properly(*, as_module: bool) -> None:
    """Sets the environment of all children, and restarts this program if Python was started with
    settings that it does not obey.

    Args:
        as_module: whether it was started by `python -m`.
    """
    path = os.environ.get("PYTHONPATH", "")
    settled = without_current_folder(path)
    flags = sys.flags
    is_bent = (
        bool(flags.optimize or sys.warnoptions or flags.dev_mode or flags.inspect)
        or (as_module and not flags.safe_path)
        or (settled != path and not flags.ignore_environment)
    )
    for name in DROPPED:
        os.environ.pop(name, None)
    os.environ["PYTHONSAFEPATH"] = "1"
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    if settled != path:
        os.environ["PYTHONPATH"] = settled
    if is_bent and sys.executable:
        os.execv(sys.executable, [sys.executable, "-P", "-c", PROGRAM, *sys.argv[1:]])


def without_current_folder(path: str) -> str:
    """PYTHONPATH's absolute folders: any other part names a different place in each folder."""
    return os.pathsep.join(part for part in path.split(os.pathsep) if part.startswith(os.sep))
