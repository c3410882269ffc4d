"""What a task says, and its text: the same set-up and run scripts wherever it is executed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import Environment, StrictUndefined

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal


class Rental(NamedTuple):
    """A GPU to ask for, and the rate that the budget was computed with: no dearer offer may take
    the task over."""

    accelerators: str
    max_hourly_cost_usd: Decimal

    @property
    def max_hourly_cost(self) -> float:
        """As YAML has numbers."""
        return float(self.max_hourly_cost_usd)


class Arming(StrEnum):
    """What arms the end of the instance at the beginning of set-up, where SkyPilot's autodown
    cannot."""

    SKYLET = "skylet"
    POD = "pod"
    IF_POD = "if_pod"
    """a pod arms its end, and the autodown ends any other instance"""


SCRIPTS = {
    Arming.SKYLET: "arm_skylet.sh",
    Arming.POD: "arm_pod.sh",
    Arming.IF_POD: "arm_pod.sh",
}
IS_POD = '[ -n "${RUNPOD_POD_ID:-}" ] || grep -qs RUNPOD_POD_ID /etc/profile.d/container_env_var.sh'
"""SkyPilot's sessions lack the variables of the pod; SkyPilot keeps them in this file."""


@dataclass(frozen=True, slots=True)
class TaskValues:
    """What differs from task to task; no value may be a secret, since the text is shown and kept.

    `infra` is SkyPilot's own term (`aws/us-east-1`); None leaves the choice to SkyPilot. `image` is
    its `image_id`: a container (`docker:NAME:TAG`) or a cloud's own; what of the trainer's packages
    it has is not installed again. Of several `rentals` SkyPilot takes the first that is to be had;
    none leaves the machine as it is.
    `files` are the local files that must lie on the instance, by their paths there.
    """

    run: str
    workdir: str
    envs: Mapping[str, str]
    infra: str | None = None
    rentals: tuple[Rental, ...] = ()
    image: str | None = None
    disk_gb: int | None = None
    """None leaves SkyPilot's default, 256"""
    use_spot: bool = False
    idle_minutes: int = 1
    arming: Arming | None = None
    files: Mapping[str, str] = field(default_factory=dict[str, str])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def has_autostop(self) -> bool:
        """Whether SkyPilot's autodown ends the instance."""
        return self.arming in (None, Arming.IF_POD)


def render(task: TaskValues) -> str:
    """The text of the task: YAML that SkyPilot and the local infra read alike."""
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.policies["json.dumps_function"] = _quoted
    return environment.from_string(_text("task.yaml.j2")).render(
        task=task,
        infra=task.infra,
        setup=_arms(task) + _text("setup.sh"),
        run=_text("run.sh"),
    )


def _arms(task: TaskValues) -> str:
    if task.arming is None:
        return ""
    script = _text(SCRIPTS[task.arming])
    if task.arming == Arming.IF_POD:
        script = f"if {IS_POD}; then\n{script}fi\n"
    return f"set -e\nidle_minutes={task.idle_minutes}\n{script}"


def _text(name: str) -> str:
    return files("fintts_templates").joinpath(name).read_text(encoding="utf-8")


def _quoted(value: object, *, sort_keys: bool) -> str:
    r"""JSON in printable ASCII, which is YAML, too: \U holds what JSON would split into two \u."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=sort_keys)
    return re.sub(r"[^ -~]", lambda match: f"\\U{ord(match[0]):08x}", text)
