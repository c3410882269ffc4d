"""Numbers and abbreviations of a transcript in words, each change named."""

from __future__ import annotations

import pytest

from fintts_inputs.text.spelling import spelled_out

FACTS = {
    "Esim. näin, n. 5 km ja jne.": "Esimerkiksi näin, noin viisi km ja ja niin edelleen.",
    "Klo 16 ja klo 14.30": "Kello kuusitoista ja kello neljätoista kolmekymmentä",
    "Mm. kissat, ks. 3. luku": "Muun muassa kissat, katso kolmas luku",
    "Se on n. -5 astetta": "Se on noin miinus viisi astetta",
    "prof. Virtanen, nro 7": "professori Virtanen, numero seitsemän",
}


@pytest.mark.parametrize("text", FACTS)
def test_it_is_written_as_it_is_said(text: str) -> None:
    words, changes = spelled_out(text)
    assert words == FACTS[text]
    assert changes
    for change in changes:
        assert change.written in text
        assert change.words in words


@pytest.mark.parametrize(
    "text", ["Lanka on 5 mm. paksua", "Kerron n. asiat", "EU ja YK", "Tulen esimerkiksi huomenna."]
)
def test_what_has_another_reading_stays(text: str) -> None:
    assert [one.written for one in spelled_out(text)[1]] == (["5"] if "5" in text else [])
