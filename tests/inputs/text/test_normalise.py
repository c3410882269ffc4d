"""What counts as the same text when a speech recogniser is compared with a transcript."""

from __future__ import annotations

import unicodedata

import jiwer
import pytest

from fintts_inputs.text.normalise import normalised

SAME = (
    ("Hyvää huomenta!", "hyvää huomenta"),
    (unicodedata.normalize("NFD", "Hyvää yötä"), "hyvää yötä"),
    ("3,5 % ja 5:ssä", "kolme pilkku viisi prosenttia ja viidessä"),
    ("linja-auto", "linja auto"),
    ("ei-mitään – kyllä…", "ei mitään kyllä"),
    ("raa'an EU:n", "raaan eun"),
    ("“Näin”, sanoi hän; ja lähti.", "näin sanoi hän ja lähti"),
    ("Šakki ja žargon, café", "sakki ja zargon cafe"),
    ("esim. näin, n. 5 km", "esimerkiksi näin noin viisi km"),
    ("Kissa & koira maksavat 7 €", "kissa ja koira maksavat seitsemän euroa"),
    ("klo\u00a014.30", "kello neljätoista kolmekymmentä"),
    ("12. päivä.", "kahdestoista päivä"),
    ("  kaksi \u2009 väliä\n", "kaksi väliä"),
    ("2:1", "2 1"),
)


@pytest.mark.parametrize(("written", "spoken"), SAME)
def test_these_sound_the_same(written: str, spoken: str) -> None:
    assert normalised(written, "fi") == spoken
    assert jiwer.cer(normalised(written, "fi"), normalised(spoken, "fi")) == 0


@pytest.mark.parametrize(
    ("said", "heard"), [("hyvää", "hyvaa"), ("söi", "soi"), ("Åbo", "Abo"), ("tuuli", "tuli")]
)
def test_letters_of_their_own_stay_different(said: str, heard: str) -> None:
    assert normalised(said, "fi") != normalised(heard, "fi")


def test_without_the_order_a_number_would_lose_its_comma() -> None:
    assert normalised("3,5", "fi") != normalised("35", "fi")
    assert normalised("12.", "fi") == "kaksitoista"


def test_another_language_keeps_digits_and_marks() -> None:
    assert normalised("Café, 12 %", "fr") == "café 12"


def test_compounds_that_are_written_apart_cost_one_character() -> None:
    said, heard = "linja auto tulee", normalised("linjaauto tulee", "fi")
    assert jiwer.cer(said, heard) == pytest.approx(1 / 16)
