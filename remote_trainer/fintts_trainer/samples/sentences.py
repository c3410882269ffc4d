"""The sentences that a run speaks: the user's own, then utterances that it is not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fintts_inputs.data.pairs import split

if TYPE_CHECKING:
    from fintts_inputs.config import RunConfig
    from fintts_trainer.codecs.base import Codes, Wave
    from fintts_trainer.data.pack_of_run import PackOfRun


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text to speak, and the codes of its recording, if there is one."""

    text: str
    recording: Codes | None = None


class Spoken(NamedTuple):
    """A text, and its sound at the codec's rate."""

    text: str
    wave: Wave


def sentences_of(source: PackOfRun, config: RunConfig) -> tuple[Sentence, ...]:
    """The sentences of a run's configuration.

    Raises:
        DataProblem, StoreError: the data cannot be read.
    """
    texts = tuple(Sentence(text) for text in config.samples.texts)
    if not config.samples.held_out:
        return texts
    pack = source.pack
    held_out = split(pack.names, config.validation.fraction).held_out
    recorded = (Sentence(pack.text(n), pack.codes(n).astype(np.int64)) for n in held_out)
    spoken = [one for one in recorded if one.text.strip()]
    return texts + tuple(spoken[: config.samples.held_out])
