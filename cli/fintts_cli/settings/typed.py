"""Reads a text that was typed as an option or argument, as its parameter's type demands."""

from __future__ import annotations

from fintts_cli.settings.given import Given
from fintts_cli.settings.kinds import TYPES, Kind, Misread, Taken, plain_types, taken_for


def misread_text(text: str, annotation: object) -> Misread | None:
    """The problem of a text that was typed for a parameter of this type."""
    given = Given(text, "option", text)
    kinds = (
        Kind.TEXT,
        *(TYPES[each] for each in (int, float) if each in set(plain_types(annotation))),
    )
    read = [taken_for(Taken(each), given) for each in kinds]
    return next((each for each in read if isinstance(each, Misread)), None)
