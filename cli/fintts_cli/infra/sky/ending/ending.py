"""How an instance of each cloud ends by itself, with the laptop off; facts of SkyPilot 0.14.1."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from fintts_cli.infra.sky.aws import AWS
from fintts_cli.places import cloud_of
from fintts_templates import Arming

if TYPE_CHECKING:
    from collections.abc import Mapping

RUNPOD = "runpod"
VERDA_KEY, HYPERBOLIC_KEY = "~/.verda/config.json", "~/.hyperbolic/api_key"


@dataclass(frozen=True, slots=True)
class Ending:
    """What ends an instance, and what it needs for that."""

    by: str
    """what ends it, in words"""
    arming: Arming | None = None
    """what arms the end at the beginning of set-up; None if SkyPilot's autodown in the task
    does"""
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    """keys that must lie on the instance and that SkyPilot puts elsewhere: path there → path
    here"""
    needs_account_key: bool = True
    """whether the instance ends itself with your key for its cloud, which therefore lies on it"""
    has_managed_jobs: bool = True
    """whether SkyPilot's managed jobs run there: they insist on its own autodown"""


AUTODOWN = Ending("SkyPilot's autodown")
BY_ROLE = Ending("SkyPilot's autodown and a timed power-off", needs_account_key=False)
BY_OWN_KEY = Ending("the pod's own key", Arming.POD, needs_account_key=False)
WHEREVER = Ending("SkyPilot's autodown, or the pod's own key on RunPod", Arming.IF_POD)


def _by_skylet(*keys: str) -> Ending:
    by = "SkyPilot's skylet, armed at the beginning of set-up"
    files = {key: key for key in keys}
    return Ending(by, Arming.SKYLET, files, has_managed_jobs=False)


ENDINGS: Mapping[str, Ending] = MappingProxyType(
    {
        AWS: BY_ROLE,
        RUNPOD: BY_OWN_KEY,
        # SkyPilot copies these two keys to the laptop's path of them, not to the instance's.
        "verda": _by_skylet(VERDA_KEY),
        "hyperbolic": _by_skylet(HYPERBOLIC_KEY),
        "primeintellect": _by_skylet(),
        "yotta": _by_skylet(),
    }
)
"""by cloud, as in `--infra`; SkyPilot's autodown ends an instance of any other"""


def ending_of(infra: str | None) -> Ending:
    """How an instance ends there. Without a cloud, SkyPilot chooses one that its autodown could
    end."""
    cloud = cloud_of(infra)
    return ENDINGS.get(cloud, AUTODOWN) if cloud else WHEREVER
