"""Gives each GPU one name, whatever a seller writes: `NVIDIA A100-SXM4-80GB` is A100-80GB-SXM.

GPUs that differ in memory or form are different: H100, H100-SXM and H100-NVL are three, and a
40 GB A100 is not an A100-80GB. A PCIe card has the plain name, as in SkyPilot's catalogs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from fintts_cost.gpus.accelerators import ACCELERATORS

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMORY_TOLERANCE = 0.10
"""Sellers write GB, GiB or the driver's free memory; H100s of 80 and of 94 are 17 % apart."""

_MAKERS = re.compile(r"\b(NVIDIA|TESLA|GEFORCE)\b")
_MEMORY = re.compile(r"^(\d+)G(?:I?B)?$")
_IN_DRIVERS = re.compile(r"\b(HBM\d\w*|GENERATION)\b")
_FORM = re.compile(r"^(SXM|PCIE)\d?$")
_ALSO_CALLED = {"RTXA6000": "A6000"}
"""a model → its name in the catalogs of Lambda and Shadeform"""


class _Parts(NamedTuple):
    """The parts of a name."""

    model: str
    """A100, RTX6000ADA"""
    memory_gb: float | None
    form: str
    """SXM; empty for a PCIe card, and for a name without a form"""


def canonical(name: str, memory_gb: float | None = None) -> str:
    """The name in `gpus.accelerators`, or a tidied one that is not in it.

    Args:
        memory_gb: of one GPU, as the seller states it (GB or GiB); it overrides the name, since
            some call an A100 of 80 GB just A100.
    """
    parts = _taken_apart(name)
    if memory_gb is not None and memory_gb > 0:
        parts = parts._replace(memory_gb=memory_gb)
    return _known(parts) or _written_out(parts)


def as_asked(device: str, memory_gb: float, asked: Sequence[str]) -> str:
    """The requested name that the driver's name, `device`, belongs to.

    A request for an A100-80GB may get the SXM one, and its driver says so. If no requested name
    matches, the result is the canonical name.
    """
    own = canonical(_IN_DRIVERS.sub(" ", device.upper()), memory_gb)
    if own in asked:
        return own
    mine = _taken_apart(own)
    return next((name for name in asked if _may_mean(name, mine.model, memory_gb)), own)


def _may_mean(name: str, model: str, memory_gb: float) -> bool:
    """Whether a name has this model and memory, in any form."""
    parts, known = _taken_apart(name), ACCELERATORS.get(name)
    stated = known.memory_gb if known else parts.memory_gb
    models = {model, _ALSO_CALLED.get(model, model)}
    return parts.model in models and stated is not None and _is_near(memory_gb, stated)


def family(name: str) -> str:
    """The common start of related names: A100-80GB → A100."""
    return name.split("-")[0]


def _taken_apart(name: str) -> _Parts:
    rest: list[str] = []
    memory_gb, form = None, ""
    for token in re.split(r"[\s_-]+", _MAKERS.sub(" ", name.upper()).strip()):
        if (found := _MEMORY.match(token)) and rest:
            memory_gb = float(found[1])
        elif found := _FORM.match(token):
            form = "" if found[1] == "PCIE" else found[1]
        else:
            rest.append(token)
    return _Parts("".join(rest), memory_gb, form)


_TABLE = tuple((_taken_apart(name), accelerator) for name, accelerator in ACCELERATORS.items())


def _known(parts: _Parts) -> str | None:
    """The known GPU of this model, form and memory; without a memory, the name without one."""
    for known, accelerator in _TABLE:
        if (known.model, known.form) != (parts.model, parts.form):
            continue
        if parts.memory_gb is None:
            if known.memory_gb is None:
                return accelerator.name
        elif _is_near(parts.memory_gb, accelerator.memory_gb):
            return accelerator.name
    return _by_memory(parts)


def _by_memory(parts: _Parts) -> str | None:
    """The form that the memory implies: an H100 of 94 GB can only be the NVL."""
    if parts.memory_gb is None or parts.form:
        return None
    names = [
        accelerator.name
        for _, accelerator in _TABLE
        if family(accelerator.name).upper() == parts.model
        and _is_near(parts.memory_gb, accelerator.memory_gb)
    ]
    return names[0] if len(names) == 1 else None


def _is_near(stated_gb: float, sold_gb: float) -> bool:
    return abs(stated_gb - sold_gb) <= MEMORY_TOLERANCE * sold_gb


def _written_out(parts: _Parts) -> str:
    memory = "" if parts.memory_gb is None else f"{parts.memory_gb:.0f}GB"
    return "-".join(part for part in (parts.model, memory, parts.form) if part)
