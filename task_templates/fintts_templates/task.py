"""The values of a task, and its text: the same set-up and run scripts wherever it runs."""

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
    """A GPU to ask for, and the highest rate for it, which the budget assumes."""

    accelerators: str
    max_hourly_cost_usd: Decimal

    @property
    def max_hourly_cost(self) -> float:
        """The rate as a YAML number."""
        return float(self.max_hourly_cost_usd)


class Arming(StrEnum):
    """What arms the end of the instance at the start of set-up, where SkyPilot's autodown
    cannot."""

    SKYLET = "skylet"
    POD = "pod"
    IF_POD = "if_pod"
    """a pod arms its end, and the autodown ends any other instance"""


def has_autostop(arming: Arming | None) -> bool:
    """Whether the task carries SkyPilot's autodown."""
    return arming in (None, Arming.IF_POD)


SCRIPTS = {
    Arming.SKYLET: "arm_skylet.sh",
    Arming.POD: "arm_pod.sh",
    Arming.IF_POD: "arm_pod.sh",
}
IS_POD = '[ -n "${RUNPOD_POD_ID:-}" ] || grep -qs RUNPOD_POD_ID /etc/profile.d/container_env_var.sh'
"""SkyPilot's sessions lack the variables of the pod; SkyPilot keeps them in this file."""


@dataclass(frozen=True, slots=True)
class TaskValues:
    """The values of one task. None may be a secret, since the text is shown and stored.

    Attributes:
        infra: in SkyPilot's notation, such as `aws/us-east-1`; None lets SkyPilot choose.
        rentals: SkyPilot uses the first one that is available; without any, the task runs on the
            machine as it is.
        image: SkyPilot's `image_id`: a container (`docker:NAME:TAG`) or a cloud's own image. The
            trainer's packages that it has are not installed again.
        arming: None leaves the end of the instance to SkyPilot's autodown alone.
        files: local files to copy to the instance, by their paths there.
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
        """Whether the task carries SkyPilot's autodown."""
        return has_autostop(self.arming)


def render(task: TaskValues) -> str:
    """The text of the task: YAML for SkyPilot and for the local infra."""
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
    r"""JSON in printable ASCII, which is also YAML; \U replaces pairs of \u, which YAML lacks."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=sort_keys)
    return re.sub(r"[^ -~]", lambda match: f"\\U{ord(match[0]):08x}", text)
