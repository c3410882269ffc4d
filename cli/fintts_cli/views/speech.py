"""What was spoken, as text and as a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.views.units import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fintts_cli.speech.voices import Source
    from fintts_inputs.speech.plan import Spoken

MANY_DISALLOWED = 0.1
"""share of all choices, of a frame or the end, above which the user is warned"""


@dataclass(frozen=True, slots=True)
class SpeechView:
    """The files, in the order in which they were written, and their pictures."""

    run: str | None
    text: str
    seed: int
    sources: Sequence[Source]
    spoken: Sequence[Spoken]
    pictures: Sequence[Path | None]

    @property
    def files(self) -> list[Path]:
        """All that was written."""
        drawn = [picture for picture in self.pictures if picture is not None]
        return [*(one.path for one in self.spoken), *drawn]

    def to_json(self) -> dict[str, object]:
        """The document of `fintts speak --json`."""
        return {
            "run": self.run,
            "text": self.text,
            "seed": self.seed,
            "spoken": [
                {
                    "voice": one.voice,
                    "step": source.step,
                    "path": str(one.path),
                    "seconds": round(one.seconds, 3),
                    "frames": one.frames,
                    "ended": one.ended,
                    "disallowed_choices": one.disallowed,
                    "generating_seconds": round(one.generating_seconds, 3),
                    "picture": None if picture is None else str(picture),
                }
                for source, one, picture in zip(
                    self.sources, self.spoken, self.pictures, strict=True
                )
            ],
        }


def render_spoken(source: Source, one: Spoken) -> str:
    """One line about one file."""
    step = "" if source.step is None or str(source.step) in source.name else f", step {source.step}"
    line = f"{source.name}{step}: {one.path} ({one.seconds:.1f} s)"
    if source.recording is None:
        pace = one.frames / max(one.generating_seconds, 1e-9)
        line += f", {pace:.1f} frames a second"
    return line


def warnings_of(one: Spoken) -> list[tuple[str, str]]:
    """What is odd about one file: sentences with their hints."""
    found: list[tuple[str, str]] = []
    if not one.ended:
        found.append(
            (
                f"{one.voice} did not end by itself: {one.path} was cut after {one.seconds:.1f} s",
                "allow more with --max-seconds; speech that never ends is often noise",
            )
        )
    choices = one.frames + one.ended
    if one.disallowed > MANY_DISALLOWED * choices:
        found.append(
            (
                f"{one.voice} preferred something other than speech at {one.disallowed:,} of "
                f"{counted(choices, 'choice')}",
                "it has not learned to speak, or the adapter and the base model do not match",
            )
        )
    return found
