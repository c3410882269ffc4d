"""The option that puts numbers of transcripts into words."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fintts_cli.errors import UsageProblem

if TYPE_CHECKING:
    from fintts_inputs.recordings.transcripts import Spell

Language = Literal["fi"]
SpellNumbers = Annotated[
    Language | None,
    typer.Option(
        "--spell-numbers",
        metavar="fi",
        help="Put numbers and abbreviations of Finnish texts into words, and list each change.",
    ),
]


def speller(language: Language | None) -> "Spell | None":
    """What puts texts of this language into words; None without one.

    Raises:
        UsageProblem: its package is not installed.
    """
    if language is None:
        return None
    if find_spec("num2words") is None:
        raise UsageProblem("num2words is not installed", "pip install 'fintts[audio]'")
    from fintts_inputs.text.spelling import spelled_out  # needs that package

    return spelled_out
