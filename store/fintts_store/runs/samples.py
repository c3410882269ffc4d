"""What a run has spoken while it trained: the same sentences by the base model and after checks."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from fintts_store import layout
from fintts_store.errors import InvalidRecord
from fintts_store.runs import limits
from fintts_store.runs.fields import Claim, Message, Seconds
from fintts_store.runs.reading import find_record
from fintts_store.runs.record import OfRun
from fintts_store.store import Store

RECORD = "samples.json"
BASE: Literal["base"] = "base"
ORIGINAL: Literal["original"] = "original"
_SAMPLE = re.compile(
    r"(?P<claim>[0-9]{6})/(?P<who>base|original|step-(?P<step>[0-9]{9}))-(?P<number>[0-9]{2})\.wav"
)
_RECORD = re.compile(r"([0-9]{6})/samples\.json")

Speaker = int | Literal["base", "original"]
"""a step, or who spoke without an adapter"""


class SampleSet(OfRun):
    """samples.json: the sentences of one job, and how it speaks them."""

    claim: Claim
    texts: Annotated[tuple[Message, ...], Field(max_length=limits.SENTENCES)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    max_seconds: Seconds

    def is_as(self, other: "SampleSet") -> bool:
        """Whether the samples of both may stand side by side."""
        return self.model_copy(update={"claim": other.claim}) == other


@dataclass(frozen=True, slots=True, order=True)
class Sample:
    """A WAV file in the store: who said which sentence, the first being 1."""

    claim: int
    speaker: Speaker
    number: int
    size_bytes: int = 0

    @property
    def name(self) -> str:
        """Without the claim."""
        who = f"step-{self.speaker:09d}" if isinstance(self.speaker, int) else self.speaker
        return f"{who}-{self.number:02d}.wav"

    def key(self, run: str) -> str:
        """The key."""
        return layout.samples_prefix(run, self.claim) + self.name


@dataclass(frozen=True, slots=True)
class Samples:
    """The sentences that the newest job speaks, and everything that has spoken them.

    Attributes:
        files: one for each speaker and sentence, from the newest claim.
    """

    sentences: SampleSet
    files: dict[tuple[Speaker, int], Sample]

    @property
    def steps(self) -> list[int]:
        """The steps that have spoken, in order."""
        return sorted({who for who, _ in self.files if isinstance(who, int)})


def read_samples(store: Store, run: str) -> Samples | None:
    """What a run has spoken; None if nothing. Foreign and too large files are ignored, and so are
    samples of other sentences than the newest.

    Raises:
        StoreError: the store cannot be read.
    """
    listed: list[Sample] = []
    claims: list[int] = []
    prefix = layout.all_samples_prefix(run)
    for entry in store.list(prefix):
        name = entry.key.removeprefix(prefix)
        if (record := _RECORD.fullmatch(name)) is not None:
            claims.append(int(record[1]))
        elif (found := _SAMPLE.fullmatch(name)) and entry.size_bytes <= limits.SAMPLE_BYTES:
            listed.append(_sample(found, entry.size_bytes))
    sets = {claim: one for claim in claims if (one := _read_set(store, run, claim)) is not None}
    if not sets:
        return None
    newest = sets[max(sets)]
    same = {claim for claim, one in sets.items() if one.is_as(newest)}
    files: dict[tuple[Speaker, int], Sample] = {
        (one.speaker, one.number): one
        for one in sorted(listed[-limits.SAMPLES :], key=lambda one: one.claim)
        if one.claim in same and 1 <= one.number <= len(newest.texts)
    }
    return Samples(newest, files)


def _sample(found: re.Match[str], size_bytes: int) -> Sample:
    alone: Speaker = ORIGINAL if found["who"] == ORIGINAL else BASE
    who = int(found["step"]) if found["step"] else alone
    return Sample(int(found["claim"]), who, int(found["number"]), size_bytes)


def _read_set(store: Store, run: str, claim: int) -> SampleSet | None:
    """The sentences of a job; None if its record is damaged."""
    try:
        return find_record(store, SampleSet, run, layout.samples_prefix(run, claim) + RECORD)
    except InvalidRecord:
        return None
