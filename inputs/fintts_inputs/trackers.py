"""The experiment trackers that a run may report to, and the variables by which each finds its
server.

The names are the libraries' own, so what works for a script of yours works here. The values travel
like a secret: as part of no task, no record and no file.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING

from fintts_store.network.reach import obstacle_to
from fintts_store.output.redaction import remember_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VARIABLE = "FINTTS_TRACKERS"
"""names the trackers of a run, separated by commas; it is no secret"""


class Tracker(StrEnum):
    """A tracker beside TensorBoard, which every run has; the value is the package's name."""

    WANDB = "wandb"
    TRACKIO = "trackio"


VARIABLES = {
    Tracker.WANDB: (
        "WANDB_API_KEY",
        "WANDB_BASE_URL",
        "WANDB_ENTITY",
        "WANDB_PROJECT",
        "WANDB_MODE",
    ),
    Tracker.TRACKIO: (
        "TRACKIO_SPACE_ID",
        "HF_TOKEN",
        "TRACKIO_SERVER_URL",
        "TRACKIO_WRITE_TOKEN",
        "TRACKIO_PROJECT",
    ),
}
"""Of these variables, a run gets the ones that are set on the machine that starts it."""
SERVERS = {Tracker.WANDB: "WANDB_BASE_URL", Tracker.TRACKIO: "TRACKIO_SERVER_URL"}
OFFLINE = ("offline", "dryrun")
"""values of WANDB_MODE with which curves stay on the machine that trains"""


def trackers_in(environment: Mapping[str, str] = os.environ) -> tuple[Tracker, ...]:
    """The trackers that the launch named."""
    return tuple(map(Tracker, filter(None, environment.get(VARIABLE, "").split(","))))


def named(trackers: Iterable[Tracker]) -> dict[str, str]:
    """The variable of a task that names the trackers; empty without any."""
    text = ",".join(trackers)
    return {VARIABLE: text} if text else {}


def keys_of(
    trackers: Iterable[Tracker], environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The variables that these trackers need, each a secret from now on.

    A Hugging Face token goes along only to a Space.
    """
    found = {
        name: environment[name]
        for tracker in trackers
        for name in VARIABLES[tracker]
        if environment.get(name)
    }
    if "TRACKIO_SPACE_ID" not in found:
        found.pop("HF_TOKEN", None)
    remember_secrets(found.get("TRACKIO_SERVER_URL"))  # it may hold the token to write
    return found


def lost_on_instance(tracker: Tracker, environment: Mapping[str, str] = os.environ) -> str | None:
    """Why the curves of a rented instance would get nowhere although the tracker has a key, as a
    sentence; None if they may arrive."""
    given = keys_of([tracker], environment)
    if (mode := given.get("WANDB_MODE")) in OFFLINE:
        return f"WANDB_MODE={mode} keeps the curves on the rented instance, where they are lost"
    variable = SERVERS[tracker]
    obstacle = obstacle_to(given.get(variable, ""), shown=f"{variable}'s server")
    return None if obstacle is None else obstacle.message


def missing_key(
    tracker: Tracker, environment: Mapping[str, str] = os.environ, *, is_local: bool
) -> str | None:
    """What the tracker lacks to be of use, as a sentence; None if nothing.

    Args:
        is_local: whether the run is on this machine, where Trackio needs no server.
    """
    given = keys_of([tracker], environment)
    if tracker is Tracker.WANDB:
        is_offline = is_local and given.get("WANDB_MODE") in OFFLINE
        return None if "WANDB_API_KEY" in given or is_offline else "wandb needs WANDB_API_KEY"
    if "TRACKIO_SPACE_ID" in given:
        return None if "HF_TOKEN" in given else "trackio needs HF_TOKEN to write to a Space"
    if "TRACKIO_SERVER_URL" in given:
        has_token = "TRACKIO_WRITE_TOKEN" in given or "write_token=" in given["TRACKIO_SERVER_URL"]
        return None if has_token else "trackio needs TRACKIO_WRITE_TOKEN to write to a server"
    if is_local:
        return None
    return "trackio on a rented instance needs TRACKIO_SPACE_ID or TRACKIO_SERVER_URL"
