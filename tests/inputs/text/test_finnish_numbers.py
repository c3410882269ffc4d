"""Finnish numbers in words; what has several readings stays as it is."""

from __future__ import annotations

import pytest

from fintts_inputs.text.finnish_numbers import spelled

FACTS = {
    "Vuonna 1917 oli 21 kissaa.": (
        "Vuonna tuhat yhdeksänsataaseitsemäntoista oli kaksikymmentäyksi kissaa."
    ),
    "-4,5 tai −4 astetta": "miinus neljä pilkku viisi tai miinus neljä astetta",
    "3,5 % ja 1 €": "kolme pilkku viisi prosenttia ja yksi euro",
    "1 % tai 100 %": "yksi prosentti tai sata prosenttia",
    "12\u00a0345 asukasta": "kaksitoistatuhatta kolmesataaneljäkymmentäviisi asukasta",
    "1 000 000 kertaa": "miljoona kertaa",
    "3,05 metriä": "kolme pilkku nolla viisi metriä",
    "0 astetta, 0,5 metriä": "nolla astetta, nolla pilkku viisi metriä",
    "12. päivä": "kahdestoista päivä",
    "Minulla on 12. Sitten lähdin.": "Minulla on kaksitoista. Sitten lähdin.",
    "5:ssä talossa": "viidessä talossa",
    "25:stä, 3:lla ja 2:ksi": "kahdestakymmenestäviidestä, kolmella ja kahdeksi",
    "5:nnen kerran": "viidennen kerran",
    "klo 14.30": "kello neljätoista kolmekymmentä",
    "Klo 9.05 ja klo 16": "Kello yhdeksän nolla viisi ja klo kuusitoista",
}
AS_THEY_ARE = (
    "6.12.2026",
    "versio 1.2.3",
    "5–7 päivää",
    "2:1",
    "3.5",
    "040 123 4567",
    "007",
    "A4, MP3 ja 4G",
    "1900-luvulla",
    "1234567890123",
    "1,5:n",
    "5:xyz",
    "5 %:n",
    "ei lukuja",
)


@pytest.mark.parametrize("text", FACTS)
def test_numbers_are_spelled_as_they_are_read(text: str) -> None:
    words, changes = spelled(text)
    assert words == FACTS[text]
    for change in changes:
        assert change.written in text
        assert change.words in words


@pytest.mark.parametrize("text", AS_THEY_ARE)
def test_what_has_several_readings_stays(text: str) -> None:
    assert spelled(text) == (text, ())


def test_each_change_is_named_in_order() -> None:
    _, changes = spelled("klo 8.15 tuli 3 ja 4. talo")
    assert [(one.written, one.words) for one in changes] == [
        ("klo 8.15", "kello kahdeksan viisitoista"),
        ("3", "kolme"),
        ("4.", "neljäs"),
    ]
