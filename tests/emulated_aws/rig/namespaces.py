"""How a process is put into namespaces of its own."""

from __future__ import annotations

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def unshare(*kinds: str) -> list[str]:
    """The start of a command that runs the rest in new mount and PID namespaces, and in new ones of
    the `kinds` (`net`, `ipc`, `uts`). When unshare itself is killed, all inside is."""
    more = [f"--{kind}" for kind in kinds]
    always = ["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    return ["unshare", *always, *more, "--"]


def dying_with_parent(*command: str) -> list[str]:
    """The command, killed when the thread that starts it ends, however that comes about."""
    return ["setpriv", "--pdeathsig", "KILL", *command]
