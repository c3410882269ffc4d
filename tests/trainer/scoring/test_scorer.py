"""Each measure alone, and what a missing value is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

import tiny_eval
from fintts_trainer.samples.limits import Interrupted, OutOfTime
from fintts_trainer.samples.sentences import Spoken
from fintts_trainer.scoring.asr import Recogniser, open_recogniser
from fintts_trainer.scoring.dnsmos import open_dnsmos
from fintts_trainer.scoring.scorer import Scorer, voice_in
from fintts_trainer.scoring.speaker import open_speaker_encoder

if TYPE_CHECKING:
    from fintts_trainer.codecs.base import Wave

CPU = torch.device("cpu")
RATE = 44_100


class Says(Recogniser):
    """A recogniser whose answers are known."""

    def __init__(self, *answers: str) -> None:
        super().__init__(torch.nn.Identity(), None, "fi", writes=True)
        object.__setattr__(self, "answers", list(answers))

    def heard(self, wave: Wave, look: Callable[[], None]) -> str:
        look()
        answers: list[str] = self.answers  # type: ignore[attr-defined] # set above
        return answers.pop(0)


def buzz(hertz: float, seconds: float = 1.0) -> Wave:
    """Pulses at this pitch, at the codec's rate."""
    time = np.arange(round(RATE * seconds)) / RATE
    return (0.2 * np.sign(np.sin(2 * np.pi * hertz * time)) ** 3).astype(np.float32)


def scores(scorer: Scorer, spoken: list[Spoken]) -> dict[str, float]:
    return dict(scorer.scores(spoken, lambda: None))


def test_the_error_rate_is_pooled_over_all_sentences() -> None:
    log: list[str] = []
    scorer = Scorer(RATE, "fi", log.append, recogniser=Says("hyvää huomenta", "ei"))
    spoken = [Spoken("Hyvää huomenta!", buzz(100)), Spoken("Joo", buzz(100))]
    assert scores(scorer, spoken) == {"cer": pytest.approx(3 / 17)}
    assert log == ["heard “ei” for “joo”"]


def test_a_sentence_without_letters_is_not_counted() -> None:
    scorer = Scorer(RATE, "fi", print, recogniser=Says("mitä", "joo"))
    spoken = [Spoken("…", buzz(100)), Spoken("Joo", buzz(100))]
    assert scores(scorer, spoken) == {"cer": 0.0}
    alone = Scorer(RATE, "fi", print, recogniser=Says("mitä"))
    assert scores(alone, [Spoken("…", buzz(100))]) == {}


def test_a_voice_is_most_similar_to_itself() -> None:
    encoder = open_speaker_encoder(tiny_eval.ENCODER, CPU)
    voice = voice_in(encoder, [buzz(100), buzz(105), buzz(110), buzz(115)], RATE)
    assert voice is not None
    assert voice.ceiling is not None
    scorer = Scorer(RATE, "fi", print, encoder=encoder, voice=voice)
    same = scores(scorer, [Spoken("a", buzz(107, 2))])["similarity"]
    other = scores(scorer, [Spoken("a", buzz(400, 2))])["similarity"]
    assert other < same <= 1.0001
    assert other < voice.ceiling
    assert scores(scorer, [Spoken("a", np.zeros(RATE, np.float32))]) == {}
    assert voice_in(encoder, [], RATE) is None
    alone = voice_in(encoder, [buzz(100)], RATE)
    assert alone is not None
    assert alone.ceiling is None


def test_a_silent_sentence_has_no_quality() -> None:
    scorer = Scorer(RATE, "fi", print, dnsmos=open_dnsmos(tiny_eval.DNSMOS))
    assert set(scores(scorer, [Spoken("a", buzz(100))])) == {"dnsmos"}
    silent = [Spoken("a", buzz(100)), Spoken("b", np.zeros(RATE, np.float32))]
    assert scores(scorer, silent) == {}


def test_a_measure_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    log: list[str] = []
    recogniser = open_recogniser(tiny_eval.write_ctc(tmp_path / "asr"), "fi", CPU)
    broken = Scorer(RATE, "fi", log.append, recogniser=Says(), dnsmos=open_dnsmos(tiny_eval.DNSMOS))
    for _ in range(2):
        assert set(scores(broken, [Spoken("joo", buzz(100))])) == {"dnsmos"}
    assert log == [
        "eval/cer has no value here, and training goes on: IndexError('pop from empty list')"
    ]
    whole = Scorer(RATE, "fi", log.append, recogniser=recogniser)
    assert set(scores(whole, [Spoken("joo", buzz(100))])) == {"cer"}


@pytest.mark.parametrize("why", [OutOfTime, Interrupted])
def test_the_limits_end_the_measuring(why: type[Exception]) -> None:
    def look() -> None:
        raise why

    scorer = Scorer(RATE, "fi", print, recogniser=Says("joo"))
    with pytest.raises(why):
        dict(scorer.scores([Spoken("joo", buzz(100))], look))


def test_what_was_measured_before_the_time_was_over_is_kept() -> None:
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 4:  # before CER, in it, before the similarity, before DNSMOS
            raise OutOfTime

    model = open_dnsmos(tiny_eval.DNSMOS)
    scorer = Scorer(RATE, "fi", print, recogniser=Says("joo"), dnsmos=model)
    found: dict[str, float] = {}
    with pytest.raises(OutOfTime):
        found.update(scorer.scores([Spoken("joo", buzz(100))], look))
    assert found == {"cer": 0.0}
