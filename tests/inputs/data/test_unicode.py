"""The same folder is the same data set, in every Unicode form, locale and order; what is odd in a
text or a name is named."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import every
from fintts_inputs.data.check import DataReport, check_folder
from fintts_inputs.data.pack import read_pack
from fintts_inputs.data.packing import pack_folder
from fintts_inputs.data.pairs import find_pairs, split
from fintts_inputs.data.suspicions import suspicions
from fintts_inputs.errors import DataProblem
from unicode_pairs import NAMES, SHA256_AS_WRITTEN, form, write_pairs

READS = """
import json, sys
from pathlib import Path
from fintts_inputs.data.pairs import find_pairs, split
from fintts_inputs.data.packing import pack_folder
folder, target = map(Path, sys.argv[1:])
names = list(find_pairs(folder))
print(ascii([pack_folder(folder, target).sha256, names, split(names, 0.5).held_out]))
"""


def said(report: DataReport) -> dict[str, str]:
    return {problem.file: problem.sentence for problem in report.problems}


@pytest.fixture
def composed(tmp_path: Path) -> Path:
    return write_pairs(tmp_path / "nfc", codes="NFC", text="NFC", content="NFC")


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("content", ["NFC", "NFD"])
@pytest.mark.parametrize(("codes", "text"), [("NFD", "NFD"), ("NFC", "NFD"), ("NFD", "NFC")])
def test_forms_and_order_do_not_count(
    tmp_path: Path, composed: Path, codes: str, text: str, content: str, reverse: bool
) -> None:
    other = write_pairs(
        tmp_path / "other", codes=codes, text=text, content=content, reverse=reverse
    )
    packed, wanted = (pack_folder(folder, tmp_path / "packed") for folder in (other, composed))
    assert packed.sha256 == wanted.sha256
    assert list(find_pairs(other)) == list(find_pairs(composed)) == sorted(NAMES)
    assert split(list(find_pairs(other)), 0.5) == split(sorted(NAMES), 0.5)
    pack = read_pack(packed.path)
    assert every(unicodedata.is_normalized("NFC", pack.text(n) + pack.name(n)) for n in range(4))
    assert check_folder(composed).normalised == 0
    assert check_folder(other).normalised == (4 if content == "NFD" else 3)


def test_the_locale_does_not_count(tmp_path: Path, composed: Path) -> None:
    """In this one Python takes the names of files for ASCII, and whatever else is in them for
    bytes; Latin-1 makes two letters of an ä in the same way."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", READS, str(composed), str(tmp_path / "packed")],
        env={**os.environ, **plain},
        capture_output=True,
        text=True,
        check=True,
    )
    names = list(find_pairs(composed))
    sha256 = pack_folder(composed, tmp_path / "here").sha256
    wanted = [sha256, names, split(names, 0.5).held_out]
    assert done.stdout.strip() == ascii(wanted)


def test_a_run_that_began_before_finds_its_data_set(tmp_path: Path, composed: Path) -> None:
    """Its names and texts were packed in the form of the files."""
    old = write_pairs(tmp_path / "old", codes="NFD", text="NFD", content="NFD")
    packed = pack_folder(old, tmp_path / "packed", begun_with=SHA256_AS_WRITTEN)
    assert packed.is_as_written
    pack = read_pack(packed.path)
    names = [pack.name(number) for number in range(len(pack))]
    assert names == sorted(form("NFD", name) for name in NAMES)
    assert every(unicodedata.is_normalized("NFD", pack.text(number)) for number in range(4))
    # Neither another folder nor another run gets it so.
    assert not pack_folder(old, tmp_path / "packed", begun_with="0" * 64).is_as_written
    same = pack_folder(composed, tmp_path / "packed", begun_with=SHA256_AS_WRITTEN)
    assert (same.is_as_written, same.sha256) == (
        False,
        pack_folder(old, tmp_path / "packed").sha256,
    )


def test_two_names_that_are_one_are_refused_by_name(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "speech", codes="NFC", text="NFC", content="NFC")
    write_pairs(folder, codes="NFD", text="NFC", content="NFC")
    report = check_folder(folder)
    forms = {
        "kävely.npy": r"'ka\u0308vely.npy' and 'k\xe4vely.npy'",
        "yö/hämärä.npy": r"'ha\u0308ma\u0308ra\u0308.npy' and 'h\xe4m\xe4r\xe4.npy'",
        "é.npy": r"'e\u0301.npy' and '\xe9.npy'",
    }
    assert said(report) == {
        file: f"exists in two Unicode forms: {both}; remove or rename one"
        for file, both in forms.items()
    }
    with pytest.raises(DataProblem, match=r"k.vely\.npy: exists in two Unicode forms"):
        pack_folder(folder, tmp_path / "packed")


SUSPICIOUS = {
    "hyvÃ¤Ã¤ pÃ¤ivÃ¤Ã¤": 'as cp1252: "hyvÃ¤Ã¤ pÃ¤ivÃ¤Ã¤" may be "hyvää päivää"',
    "Ã„iti tuli": 'may be "Äiti tuli"',
    "HYVÃ\x84": 'may be "HYVÄ"',
    "hyvÃ¤ ja hyvä": 'holds "Ã¤", which looks like UTF-8',
    "donâ€™t": 'may be "don’t"',
    "ÃƒÂ¤iti": 'read as cp1252: "ÃƒÂ¤iti" may be "äiti"',
    "kÃƒÂ¤vely": 'may be "kävely"',
    "kÃƒÆ’Ã‚Â¤vely": 'may be "kävely"',
    "s√§√§": "read as mac-roman",
    "s├ñ├ñ": "read as cp437",
    "РџСЂРёРІРµС‚": 'read as cp1251: "РџСЂРёРІРµС‚" may be "Привет"',
    "hyv\ufffd\ufffd": "holds U+FFFD REPLACEMENT CHARACTER, which replaces a lost character, 2 "
    "times",
    "a\x07b": "holds U+0007, a control character",
    "a\x9bb": "holds U+009B, a control character",
    "a\u202eb": "holds U+202E RIGHT-TO-LEFT OVERRIDE, which changes the direction",
    "a\u200eb": "which changes the direction",
    "\ue000x": "holds U+E000, a character for private use",
    "x\U0010fffe": "which is not a character",
    "pаha": 'holds the word "pаha", whose letters are LATIN and CYRILLIC',
    "ab\ufeffc": "a byte order mark within the text",
    "hyv\u200bä": "holds U+200B ZERO WIDTH SPACE, which is invisible",
    "ta\u00adlo": "holds U+00AD SOFT HYPHEN",
    "a \u0308iti": "an accent without a letter",
    "yksi\u2028kaksi": "a line separator",
    "p&auml;iv&auml;": "holds &auml;, which may stand for another character",
    "p%C3%A4iv": "holds %C3%A4",
    r"p\u00e4iv": r"holds \u00e4",
    "?!": "has neither a letter nor a digit",
    "k?vely": 'holds the word "k?vely", whose question mark may replace a lost letter',
    "hän tuli ?iti tuli": 'holds the word "?iti"',
    "p?iv?? on": 'holds the word "p?iv??"',
    "KÄ?NNÄ ?LJY": 'holds the word "KÄ?NNÄ"',
    "?LJY": 'holds the word "?LJY"',
    "k=C3=A4vely": "holds =C3=A4, which may stand for another character",
    "k=E4vely": "holds =E4, which may stand for another character",
    "<b>hei</b>": 'holds "<b>", which is markup',
    'hei <break time="1s"/> hei': """holds "<break time="1s"/>", which is markup""",
    "<!-- hei --> hei": 'holds "<!--", which is markup',
    "hei<br />hei": 'holds "<br />", which is markup',
    "hei</s>": 'holds "</s>", which is markup',
    '{"text": "hei"}': "begins with JSON, not with words",
    '[{"text": "hei"}]': "begins with JSON",
    '["hei", "moi"]': "begins with JSON",
    '{"text": "hei"}\n{"text": "moi"}': "begins with JSON",
    "[" * 9999 + '"hei"': "begins with JSON",
    "ﬁlmi ja ﬂyygeli": "holds U+FB01 LATIN SMALL LIGATURE FI, a ligature in place of letters, 2",
    "ｈｅｉ": 'holds "ｈｅｉ", whose letters are full-width',
    "<|im_end|> hei": 'holds "<|im_end|>", which looks like a control token of a model',
    "<|speaker:0|>hei": 'holds "<|speaker:0|>", which looks like',
}
SOUND = [
    "hyvää päivää",
    "HYVÄ…",
    "Das macht Spaß…",
    "l’école «École» à Paris",
    "—Äiti tuli",
    "”Hyvää”, sanoi hän. – Älä!",
    "CAFÉ”",
    "“Ääni”",
    "-Hei",
    '"Hei"',
    "£5 °C ½, 100 % varma, AT&T",
    "日本語のテキスト",
    "می‌خواهم",
    "👨‍👩‍👧 perhe",
    "β-säteily",
    "Привет, мир",
    "Việt Nam, Žižek, œuvre, İstanbul",
    "yksi\nkaksi\tkolme",
    "tuletko?",
    "Tuletko? En tule.",
    "mitä?! Niinkö??",
    "Mitä? ?",
    "niin (vai?) hän sanoi",
    "Voi \u00bfqué? ¿Cómo estás?",
    '"Mitä?" hän kysyi',
    "tule?-ei",
    "I <3 you",
    "a < b ja b > a",
    "a<b ja c>d",
    "x=5, y = 20",
    "E=mc2",
    "a=b ja A=BC",
    "x=20kg, x=E4",
    "Mitä?Ei mitään",
    "你好吗?我很好",
    "ＮＨＫのニュース",
    '{hei} "moi"',
    '[1] sanoi "hei"',
    "{hei} ja {moi}",
    "hei [naurua] moi",
    "{hei}",
    "[naurua]",
    "[1]",
    "1984",
    "true",
    "a | b <| c",
    "x² ½ ㎞ Ⅳ ﷺ",
    "日本語、「ですか？」",
    "ですか？はい！",
]


@pytest.mark.parametrize("text", SUSPICIOUS)
def test_what_looks_wrong_is_named_by_file(tmp_path: Path, text: str) -> None:
    folder = write_pairs(tmp_path / "speech", codes="NFC", text="NFC", content="NFC")
    (folder / "plain.lab").write_text(f"{text}\n", encoding="utf-8")
    report = check_folder(folder)
    assert report.problems == ()
    [warning] = report.warnings
    assert warning.file == "plain.lab"
    assert SUSPICIOUS[text] in warning.sentence
    assert warning.sentence.isprintable()


@pytest.mark.parametrize("text", SOUND)
def test_what_is_right_is_not_named(text: str) -> None:
    assert suspicions(unicodedata.normalize("NFC", text)) == []


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "mac-roman", "cp437", "cp850"])
@given(st.text(st.sampled_from("aeiklnstuvä öÄÖåé"), min_size=4))
def test_finnish_that_was_read_wrong_is_found_and_as_it_is_it_is_not(
    encoding: str, text: str
) -> None:
    assert suspicions(f"a{text}") == []
    bent = text.encode().decode(encoding, "replace")
    assert bool(suspicions(f"a{bent}")) == (bent != text)


@given(st.text())
def test_every_text_has_an_answer_that_a_terminal_can_show(text: str) -> None:
    text = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())
    assert "".join(suspicions(text)).isprintable()


def test_a_mark_before_the_text_and_odd_names_are_named(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "speech", codes="NFC", text="NFC", content="NFC")
    (folder / "plain.lab").write_bytes("\ufeffsana".encode())
    for ending in (".npy", ".lab"):
        (folder / f"kävely{ending}").rename(folder / f"kÃ¤vely{ending}")
    report = check_folder(folder)
    assert report.problems == ()
    assert [(one.file, one.sentence) for one in report.warnings] == [
        (
            "kÃ¤vely.npy",
            'has a name that looks like UTF-8 that was read as cp1252: "kÃ¤vely" may be "kävely"',
        ),
        ("plain.lab", "begins with a byte order mark, which is ignored"),
    ]
