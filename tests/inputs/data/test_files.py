"""Nothing of a data folder is passed over in silence, and nothing found there ends the check."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from checks import every
from fintts_inputs.base_model.families import read_shape
from fintts_inputs.base_model.shape import ModelShape
from fintts_inputs.data.check import DataReport, check_folder
from fintts_inputs.data.files import Transcript, read_codes, read_text
from fintts_inputs.data.listing import list_folder
from fintts_inputs.data.pack import read_pack
from fintts_inputs.data.packing import pack_folder
from fintts_inputs.data.pairs import find_pairs
from fintts_inputs.errors import DataProblem
from tiny_run import TINY, write_speech

CODES = np.ones((4, 6), dtype=np.int16)
BROKEN = "is not a complete .npy file of numbers"
UNSPEAKABLE = "has a name that is not UTF-8 or has control characters; rename it"


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return write_speech(tmp_path / "speech", utterances=12)


def said(report: DataReport) -> dict[str, str]:
    return {problem.file: problem.sentence for problem in report.problems}


def npy(header: str) -> bytes:
    """A .npy file that ends where its header does."""
    return b"\x93NUMPY\x01\x00v\x00" + header.ljust(117).encode() + b"\n"


def shaped(shape: str) -> bytes:
    return npy(f"{{'descr': '<i8', 'fortran_order': False, 'shape': {shape}, }}")


@pytest.mark.parametrize(
    "content",
    [
        npy("(" * 100),
        npy("\0" * 100),
        npy("[1, 2]"),
        npy("{'descr': 'zzz', 'fortran_order': False, 'shape': (4, 2), }"),
        shaped("(-4, 2)"),
        b"\x93NUMPY\x09\x00v\x00",
        b"PK\x03\x04garbage",
    ],
)
def test_whatever_numpy_says_of_a_damaged_file_it_is_named(speech: Path, content: bytes) -> None:
    (speech / "u003.npy").write_bytes(content)
    assert said(check_folder(speech)) == {"u003.npy": BROKEN}


@pytest.mark.parametrize(
    ("codes", "sentence"),
    [
        (CODES.astype("timedelta64[s]"), "holds timedelta64[s] instead of integers"),
        (np.full((4, 6), np.nan), "holds float64 instead of integers"),
        (CODES.astype(bool), "holds bool instead of integers"),
        (np.full((4, 6), 2**31), "holds the code 2147483648, which is too large for any codebook"),
        (
            np.full((4, 6), 2**63, dtype=np.uint64),
            "holds the code 9223372036854775808, which is too large for any codebook",
        ),
    ],
)
@pytest.mark.parametrize("shape", [None, read_shape(TINY)])
def test_what_a_pack_would_bend_is_named(
    speech: Path, codes: np.ndarray, sentence: str, shape: ModelShape | None
) -> None:
    np.save(speech / "u003.npy", codes)
    assert said(check_folder(speech, shape)) == {"u003.npy": sentence}


@pytest.mark.parametrize("dtype", [">i4", "<u2", "i1", "uint64"])
def test_every_type_of_integer_is_read(tmp_path: Path, dtype: str) -> None:
    codes = np.asfortranarray(np.arange(24).reshape(4, 6)).astype(dtype)
    np.save(tmp_path / "a.npy", codes)
    found, fault = read_codes(tmp_path / "a.npy")
    assert fault == ""
    np.testing.assert_array_equal(found, codes)


def test_the_largest_code_that_a_pack_holds_comes_back(speech: Path, tmp_path: Path) -> None:
    np.save(speech / "u003.npy", np.full((4, 6), 2**31 - 1))
    pack = read_pack(pack_folder(speech, tmp_path / "packed").path)
    assert pack.codes(3).max() == 2**31 - 1


def test_two_arrays_in_one_file_are_named(speech: Path) -> None:
    path = speech / "u003.npy"
    path.write_bytes(path.read_bytes() * 2)
    assert said(check_folder(speech)) == {"u003.npy": "has data after its array"}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xef\xbb\xbf\n", "is empty"),
        ("\u200b\u00a0".encode(), "is empty"),
        ("päivä".encode("utf-16-le"), "is not UTF-8: its byte 3 is 0xE4; save it as UTF-8"),
        ("päivä".encode("utf-16"), "is UTF-16, not UTF-8; save it as UTF-8"),
        ("päivä".encode("latin-1"), "is not UTF-8: its byte 2 is 0xE4; save it as UTF-8"),
        ("a day".encode("utf-16-le"), "has NUL characters, as in UTF-16; save it as UTF-8"),
    ],
)
def test_a_text_that_says_nothing_is_named(speech: Path, content: bytes, sentence: str) -> None:
    (speech / "u003.lab").write_bytes(content)
    assert said(check_folder(speech)) == {"u003.lab": sentence}


def test_what_an_editor_of_windows_adds_is_no_speech(tmp_path: Path) -> None:
    (tmp_path / "a.lab").write_bytes("\ufeffyksi\r\nkaksi\r\n".encode())
    said = "yksi\nkaksi"
    assert read_text(tmp_path / "a.lab") == Transcript(said, said, has_mark=True)


def test_too_large_a_file_is_not_read(speech: Path) -> None:
    with (speech / "u003.npy").open("r+b") as file:
        file.truncate(10 * 1024**4)
    with (speech / "u004.lab").open("r+b") as file:
        file.truncate(10 * 1024**4)
    assert said(check_folder(speech)) == {
        "u003.npy": "is too large: 10,995,116,277,760 bytes, and the limit is 67,108,864",
        "u004.lab": "is too large: 10,995,116,277,760 bytes, and the limit is 65,536",
    }
    bytes_each = (speech / "u000.npy").stat().st_size
    assert read_codes(speech / "u000.npy", bytes_each)[1] == ""
    assert "is too large" in read_codes(speech / "u000.npy", bytes_each - 1)[1]


def test_pipes_sockets_and_devices_are_not_opened(
    speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("u003.npy", "u004.lab", "u005.lab", "u006.npy"):
        (speech / name).unlink()
    os.mkfifo(speech / "u003.npy")
    os.mkfifo(speech / "u004.lab")
    (speech / "u005.lab").symlink_to("/dev/zero")
    monkeypatch.chdir(speech)  # a socket's path may have 100 characters
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("u006.npy")
    names = ["u003.npy", "u004.lab", "u005.lab", "u006.npy"]
    away = {
        "u005.lab": "is a link out of the folder; put the file here",
        "u005.npy": "has no u005.lab beside it",
    }
    assert said(check_folder(speech)) == dict.fromkeys(names, "is not a regular file") | away


def test_links_to_nothing_are_named(speech: Path) -> None:
    for name in ("u003.npy", "u004.lab"):
        (speech / name).unlink()
        (speech / name).symlink_to("nowhere")
    sentence = "cannot be read: No such file or directory"
    assert said(check_folder(speech)) == {"u003.npy": sentence, "u004.lab": sentence}


def test_folders_where_files_are_meant_are_named(speech: Path, tmp_path: Path) -> None:
    write_speech(tmp_path / "anna", utterances=2)
    (speech / "anna").symlink_to(tmp_path / "anna")
    (speech / "more.npy").mkdir()
    assert said(check_folder(speech)) == {
        "anna": "is a link to a folder; put the folder here",
        "more.npy": "is a folder, not a file",
    }
    assert len(find_pairs(speech)) == 12


class Closed:
    """os.scandir for one who may not look into some folder: tests may run as root, who may."""

    def __init__(self, *closed: Path) -> None:
        self._scandir = os.scandir
        self._closed = {str(folder) for folder in closed}

    def __call__(self, path: str) -> Iterator[os.DirEntry[str]]:
        if str(path) in self._closed:
            raise PermissionError(13, "Permission denied", str(path))
        return self._scandir(path)


def test_a_folder_that_may_not_be_opened_is_named(
    speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_speech(speech / "anna", utterances=2)
    monkeypatch.setattr(os, "scandir", Closed(speech / "anna"))
    assert said(check_folder(speech)) == {"anna": "cannot be opened: Permission denied"}
    monkeypatch.setattr(os, "scandir", Closed(speech))
    with pytest.raises(DataProblem, match="cannot be opened: Permission denied") as refused:
        check_folder(speech)
    assert refused.value.hint


def test_a_name_that_no_folder_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="cannot be opened: File name too long"):
        check_folder(tmp_path / ("a" * 300))


def test_suffixes_in_another_case_are_named(speech: Path) -> None:
    (speech / "u003.npy").rename(speech / "u003.NPY")
    (speech / "u004.npy").rename(speech / "u004.Npy")
    (speech / "u004.lab").rename(speech / "u004.LAB")
    assert said(check_folder(speech)) == {
        "u003.NPY": "ends in .NPY; rename it to .npy",
        "u003.lab": "has no u003.npy beside it",
        "u004.Npy": "ends in .Npy; rename it to .npy",
        "u004.LAB": "ends in .LAB; rename it to .lab",
    }


def test_names_that_cannot_be_shown_are_named_all_the_same(speech: Path, tmp_path: Path) -> None:
    pair = [(speech / f"u000{suffix}").read_bytes() for suffix in (".npy", ".lab")]
    for stem in (b"x\xff", b"\x1b[31mred\n"):
        for suffix, content in zip((b".npy", b".lab"), pair, strict=True):
            Path(os.fsdecode(os.fsencode(speech) + b"/" + stem + suffix)).write_bytes(content)
    assert said(check_folder(speech)) == {
        r"x\udcff.npy": UNSPEAKABLE,
        r"x\udcff.lab": UNSPEAKABLE,
        r"\x1b[31mred\n.npy": UNSPEAKABLE,
        r"\x1b[31mred\n.lab": UNSPEAKABLE,
    }
    assert len(find_pairs(speech)) == 12
    with pytest.raises(DataProblem, match="4 problems"):
        pack_folder(speech, tmp_path / "packed")


def test_hidden_pairs_are_left_out_and_told(speech: Path) -> None:
    (speech / "._u000.npy").write_bytes(b"of a Macintosh")
    (speech / ".DS_Store").write_bytes(b"")
    (speech / ".cache").mkdir()
    (speech / ".cache" / "a.npy").write_bytes(b"")
    (speech / "notes.txt").write_text("")
    report = check_folder(speech)
    assert report.problems == ()
    assert [(w.file, w.sentence) for w in report.warnings] == [
        ("._u000.npy", "is hidden, so it is not used")
    ]
    assert report.ignored == 1


def test_files_of_nested_folders_have_their_path_as_name(tmp_path: Path) -> None:
    folder = tmp_path / "all"
    (folder / "a" / "b").mkdir(parents=True)
    for name in ("top", "a/one", "a/b/two"):
        (folder / f"{name}.lab").write_text("x")
    assert tuple(list_folder(folder).files) == ("a/b/two.lab", "a/one.lab", "top.lab")
    assert said(check_folder(folder)) == {
        f"{name}.lab": f"has no {name.rsplit('/', 1)[-1]}.npy beside it"
        for name in ("top", "a/one", "a/b/two")
    }


def test_a_copy_in_another_folder_is_told(speech: Path) -> None:
    """One of the two may be held out while the other is trained on."""
    (speech / "copy").mkdir()
    for suffix in (".npy", ".lab"):
        (speech / "copy" / f"u003{suffix}").write_bytes((speech / f"u003{suffix}").read_bytes())
    report = check_folder(speech)
    assert (len(report.utterances), report.problems) == (13, ())
    assert [(w.file, w.sentence) for w in report.warnings] == [
        ("u003.lab", "says the same as copy/u003.lab")
    ]


def test_what_may_be_too_long_with_its_text_is_told(speech: Path) -> None:
    shape = read_shape(TINY)
    text = "a" * 100
    for name, frames in (("u003", 512 - 116), ("u004", 512 - 115), ("u005", 511)):
        np.save(speech / f"{name}.npy", np.ones((4, frames), dtype=np.int16))
        (speech / f"{name}.lab").write_text(f"{name}{text}"[:100])
    report = check_folder(speech, shape)
    assert report.problems == ()
    assert [w.file for w in report.warnings] == ["u004.npy", "u005.npy"]
    assert "397 frames and 100 bytes of text" in report.warnings[0].sentence
    assert check_folder(speech).warnings == ()


def test_memory_does_not_grow_with_the_codes(tmp_path: Path) -> None:
    folder = tmp_path / "long"
    folder.mkdir()
    for n in range(24):
        np.save(folder / f"u{n:03d}.npy", np.ones((8, 62_500), dtype=np.int64))
        (folder / f"u{n:03d}.lab").write_text(f"rivi {n}")
    check_folder(write_speech(tmp_path / "speech", utterances=2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert len(check_folder(folder).utterances) == 24
    grown_mebibytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mebibytes < 48  # of 92: a file and its copies are 12


def test_a_link_out_of_the_folder_is_named_and_not_followed(tmp_path: Path) -> None:
    folder, outside = tmp_path / "speech", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    for name in ("a.lab", "b.lab"):
        (outside / name).write_text("of somebody else")
        (folder / name).symlink_to(outside / name)
    (folder / "c.lab").write_text("mine")
    (folder / "d.lab").symlink_to(folder / "c.lab")
    (folder / "e.lab").symlink_to("../outside/none")
    listing = list_folder(folder)
    assert tuple(listing.files) == ("c.lab", "d.lab")
    assert {problem.file for problem in listing.problems} == {"a.lab", "b.lab", "e.lab"}
    assert every("out of the folder" in problem.sentence for problem in listing.problems)


def test_a_listing_that_breaks_off_is_a_problem_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a listing that was begun the kernel names no folder, unlike of one that cannot be."""

    class BreaksOff(contextlib.nullcontext[None]):
        def __iter__(self) -> BreaksOff:
            return self

        def __next__(self) -> os.DirEntry[str]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "scandir", lambda _: BreaksOff())
    with pytest.raises(DataProblem, match="Input/output error"):
        list_folder(tmp_path)
