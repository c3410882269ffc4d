"""A record: an immutable JSON document, which laptop and instance both read and write."""

from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from fintts_store.errors import InvalidRecord
from fintts_store.runs.fields import RunName

EXPLANATION_CHARACTERS = 300


class Record(BaseModel):
    """An immutable JSON document; unknown keys are ignored, since versions differ."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    def dump(self) -> str:
        """One line of JSON."""
        return self.model_dump_json()

    @classmethod
    def load(cls, text: str | bytes, source: str = "record") -> Self:
        """The inverse of `dump`. Raises InvalidRecord with the source's name."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InvalidRecord(
                f"{source} cannot be read: {_explanation(error)}",
                "it was damaged, or written by another version of fintts",
            ) from None


def _explanation(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    text = f"{where}: {first['msg']}" if where else first["msg"]
    shown = text[:EXPLANATION_CHARACTERS]
    return shown if shown == text else f"{shown}…"


class OfRun(Record):
    """A record that names its run, and lies in that run's folder."""

    run: RunName
