"""The form in which recordings travel: nothing of the sound is lost, and what comes is checked."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from checks import every
from fintts_inputs.codec.find import find_codec
from fintts_inputs.errors import DataProblem
from fintts_inputs.recordings.parts import (
    PART_SECONDS,
    Speech,
    SpokenText,
    Texts,
    in_parts,
    parse_texts,
    read_codes,
    read_part,
    write_codes,
    write_part,
)
from fintts_inputs.recordings.sound import read_sound
from parity_fixtures import HERE
from recordings import write_recording
from waves import voice

NAMES = ["a" * 64, "b" * 64]
SHAPE = find_codec(HERE / "codec_for_fish_s1_tiny").shape


def npy(codes: object) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(codes))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "subtype", "channels", "kind"),
    [
        ("a.wav", "PCM_16", 1, "PCM_16"),
        ("a.wav", "PCM_16", 2, "PCM_24"),
        ("a.wav", "PCM_24", 2, "PCM_24"),
        ("a.wav", "FLOAT", 1, "PCM_24"),
        ("a.mp3", "", 1, "PCM_24"),
    ],
)
def test_a_recording_arrives_unchanged(
    tmp_path: Path, name: str, subtype: str, channels: int, kind: str
) -> None:
    wave = np.stack([voice(0.5, 44_100) * (1 - 0.1 * n) for n in range(channels)], axis=1)
    sound = read_sound(write_recording(tmp_path, name, wave, subtype=subtype), 10)
    part = tmp_path / "part.zip"
    write_part(part, [(NAMES[0], Speech(sound.samples, sound.rate))])
    [(_, arrived)] = read_part(part, NAMES[:1])
    assert arrived.rate == sound.rate
    np.testing.assert_array_equal(arrived.samples, sound.samples)
    with zipfile.ZipFile(part) as archive, archive.open(f"{NAMES[0]}.sound") as file:
        info = soundfile.info(io.BytesIO(file.read()))
    assert (info.format, info.subtype) == ("FLAC", kind)


@pytest.mark.parametrize(("loudness", "rate"), [(3.0, 44_100), (0.5, 700_000)])
def test_what_flac_cannot_hold_travels_as_it_is(tmp_path: Path, loudness: float, rate: int) -> None:
    samples = voice(0.2, 44_100) * np.float32(loudness / np.abs(voice(0.2, 44_100)).max())
    part = tmp_path / "part.zip"
    write_part(part, [(NAMES[0], Speech(samples, rate))])
    [(_, arrived)] = read_part(part, NAMES[:1])
    np.testing.assert_array_equal(arrived.samples, samples)


def test_equal_parts_have_equal_bytes(tmp_path: Path) -> None:
    speech = [(name, Speech(voice(0.1, 8_000), 8_000)) for name in NAMES]
    for one in ("one", "two"):
        write_part(tmp_path / one, speech)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_parts_are_of_some_ten_minutes_and_not_too_many() -> None:
    few = in_parts({f"{n:064x}": 100.0 for n in range(13)})
    assert [list(few.values()).count(n) for n in range(3)] == [6, 6, 1]
    many = in_parts({f"{n:064x}": PART_SECONDS for n in range(3000)})
    assert 900 < len(set(many.values())) <= 1000


def test_codes_of_another_codec_or_speech_do_not_count(tmp_path: Path) -> None:
    path, good = tmp_path / "part.zip", npy(np.ones((4, 5), np.int32))
    write_codes(path, [(name, good) for name in NAMES])
    assert read_codes(path, NAMES, SHAPE) == dict.fromkeys(NAMES, good)
    bad = [npy(np.ones((5, 5), int)), npy(np.full((4, 5), 64)), npy([[0.5]]), b"x", b""]
    for content in bad:
        write_codes(path, [(NAMES[0], good), (NAMES[1], content)])
        with pytest.raises(DataProblem, match="is damaged"):
            read_codes(path, NAMES, SHAPE)
    for names in (NAMES[:1], [*NAMES, "c" * 64], [NAMES[0], "../" + "c" * 61]):
        write_codes(path, [(name, good) for name in names])
        with pytest.raises(DataProblem, match="holds other files"):
            read_codes(path, NAMES, SHAPE)


def test_a_part_that_is_none_is_named(tmp_path: Path) -> None:
    path = tmp_path / "part.zip"
    contents = [b"", b"PK\x03\x04", b"x" * 100]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(DataProblem, match=r"part\.zip, a part of the recordings, is damaged"):
            list(read_part(path, NAMES))


def test_a_part_unpacks_to_no_more_than_its_size(tmp_path: Path) -> None:
    path = tmp_path / "part.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in NAMES:
            archive.writestr(f"{name}.npy", bytes(20_000_000))
    tracemalloc.start()
    with pytest.raises(DataProblem, match="is damaged: it is compressed"):
        read_codes(path, NAMES, SHAPE)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 1_000_000

    write_codes(path, [(name, npy(np.ones((4, 5), int))) for name in NAMES])
    entry = path.read_bytes().index(b"PK\x01\x02")
    announced = bytearray(path.read_bytes())
    announced[entry + 20 : entry + 28] = 2 * (10**6).to_bytes(4, "little")
    path.write_bytes(announced)
    with pytest.raises(DataProblem, match="larger than it is"):
        read_codes(path, NAMES, SHAPE)


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_of_any_byte_is_one_error(tmp_path: Path, kind: int) -> None:
    path, good = tmp_path / "part.zip", npy(np.ones((4, 5), np.int32))
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name in NAMES:
            archive.writestr(f"{name}.npy", good)
    whole, refused = path.read_bytes(), 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            read_codes(path, NAMES, SHAPE)
        except DataProblem:
            refused += 1
    assert refused > len(whole) / 2


def test_texts_are_input_from_outside() -> None:
    one = SpokenText(name="a", text="b", speech="a" * 64, part=0, seconds=1, gain=1)
    whole = Texts(utterances=(one,)).model_dump_json()
    assert parse_texts(whole.encode(), "x").utterances == (one,)
    twice = Texts(utterances=(one, one)).model_dump_json()
    odd = [whole.replace('"gain":1.0', '"gain":-1'), whole.replace("a" * 64, "../etc"), "[]", twice]
    assert every(text != whole for text in odd)
    for text in odd:
        with pytest.raises(DataProblem):
            parse_texts(text.encode(), "texts.json")
