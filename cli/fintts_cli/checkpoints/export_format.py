"""The formats of an export; `fintts --help` names them, so this module imports nothing."""

from enum import StrEnum


class Format(StrEnum):
    """The program that opens the folder."""

    PEFT = "peft"
    FISH = "fish"
