"""A value that the user set, and where."""

from __future__ import annotations

from typing import NamedTuple

OPTION = "option"
"""the origin of what was typed for this command"""
SECRET_KEYS = frozenset({"notify"})
"""keys whose values are never shown"""


class Given(NamedTuple):
    """A value that was set, and where: `fintts.yaml:12`, `FINTTS_GPUS`, `option`."""

    value: object
    origin: str
    written: str = ""
    """the value as written, if known"""


Layer = dict[str, Given]
"""Dotted key → value: {"training.batch_size": Given(16, "fintts.yaml:7")}."""
