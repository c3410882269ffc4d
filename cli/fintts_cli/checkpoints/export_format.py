"""The forms in which a checkpoint can leave; `fintts --help` names them, so it imports nothing."""

from enum import StrEnum


class Format(StrEnum):
    """What the folder can be opened with."""

    PEFT = "peft"
    FISH = "fish"
