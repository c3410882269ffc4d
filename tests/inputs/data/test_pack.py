"""The data check names everything, and a pack gives back what went in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save, save_file

from fintts_inputs.base_model.families import read_shape
from fintts_inputs.base_model.shape import ModelShape
from fintts_inputs.data import packing
from fintts_inputs.data.check import DataReport, check_folder
from fintts_inputs.data.pack import read_pack
from fintts_inputs.data.packing import pack_folder, pack_report
from fintts_inputs.data.pairs import find_pairs, split
from fintts_inputs.errors import DataProblem, FolderMissing
from fintts_store.errors import StoreFull
from small_disk import small_disk
from tiny_run import TINY, write_speech


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return write_speech(tmp_path / "speech", utterances=12)


@pytest.fixture
def shape() -> ModelShape:
    return read_shape(TINY)


def said(report: DataReport) -> dict[str, str]:
    return {problem.file: problem.sentence for problem in report.problems}


def test_a_sound_folder_has_no_problems(speech: Path, shape: ModelShape) -> None:
    (speech / "README").write_text("not data")
    report = check_folder(speech, shape)
    assert said(report) == {}
    assert (len(report.utterances), report.ignored) == (12, 1)
    assert report.frames == sum(6 + 3 * (n % 3) for n in range(12))
    assert report.hours(21.5) == pytest.approx(report.frames / 21.5 / 3600)
    assert len(report.highest_codes) == 4
    assert [u.name for u in report.utterances] == list(find_pairs(speech))


CODES = np.ones((4, 6), dtype=np.int16)
ARRAYS = {
    "floats": CODES.astype(np.float32),
    "one dimension": CODES[0],
    "no frames": CODES[:, :0],
    "negative": -CODES,
    "codebooks": CODES[:3],
    "more codebooks": np.ones((5, 6), dtype=np.int16),
    "range": CODES * 64,
    "too long": np.ones((4, 512), dtype=np.int16),
    "as long as may be": np.ones((4, 511), dtype=np.int16),
    "last code": CODES * 63,
}
TEXTS = {"empty lab": b"  \n", "latin-1": "päivä".encode("latin-1")}


def break_file(folder: Path, fault: str) -> str:
    """Puts one fault into the folder; the file that has to be named."""
    npy, lab = folder / "u003.npy", folder / "u003.lab"
    if fault in TEXTS:
        lab.write_bytes(TEXTS[fault])
        return lab.name
    if fault in ARRAYS:
        np.save(npy, ARRAYS[fault])
        return npy.name
    return break_otherwise(npy, lab, fault)


def break_otherwise(npy: Path, lab: Path, fault: str) -> str:
    if fault == "no npy":
        npy.unlink()
        return lab.name
    if fault == "no lab":
        lab.unlink()
    elif fault == "truncated":
        npy.write_bytes(npy.read_bytes()[:-10])
    elif fault == "empty npy":
        npy.write_bytes(b"")
    elif fault == "pickled":
        np.save(npy, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    elif fault == "archive":
        np.savez(npy.with_suffix(".npz"), a=CODES)
        npy.with_suffix(".npz").replace(npy)
    return npy.name


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("no lab", "has no u003.lab beside it"),
        ("no npy", "has no u003.npy beside it"),
        ("empty lab", "is empty"),
        ("latin-1", "is not UTF-8: its byte 2 is 0xE4; save it as UTF-8"),
        ("truncated", "is truncated: it has 38 of the 48 bytes of its codes"),
        ("empty npy", "is not a complete .npy file of numbers"),
        (
            "pickled",
            "contains Python objects, which are not loaded; save the codes as integers",
        ),
        ("archive", "is an archive, not a .npy file"),
        ("floats", "holds float32 instead of integers"),
        ("one dimension", "has 1 dimensions instead of two, [codebooks, frames]"),
        ("no frames", "is empty: [4, 0]"),
        ("negative", "has the negative code -1"),
        ("codebooks", "has 3 codebooks, the base model 4"),
        ("more codebooks", "has 5 codebooks, the base model 4"),
        ("range", "has the code 64, but the last one of the base model is 63"),
        ("too long", "has 512 frames, but the base model reads at most 512 tokens"),
    ],
)
def test_every_fault_is_named_by_file(
    speech: Path, shape: ModelShape, tmp_path: Path, fault: str, sentence: str
) -> None:
    name = break_file(speech, fault)
    report = check_folder(speech, shape)
    assert said(report) == {name: sentence}
    assert len(report.utterances) == 11
    with pytest.raises(DataProblem, match="1 problem: u003") as refused:
        pack_folder(speech, tmp_path / "packed", shape)
    assert "fintts data check" in refused.value.hint
    assert not list((tmp_path / "packed").glob("*"))


def test_both_files_of_a_pair_are_named(speech: Path, shape: ModelShape) -> None:
    for fault in ("empty lab", "floats"):
        break_file(speech, fault)
    assert said(check_folder(speech, shape)).keys() == {"u003.lab", "u003.npy"}


@pytest.mark.parametrize("bound", ["as long as may be", "last code"])
def test_what_just_fits_is_no_problem(speech: Path, shape: ModelShape, bound: str) -> None:
    break_file(speech, bound)
    assert check_folder(speech, shape).problems == ()


def test_without_a_base_model_the_odd_one_out_is_named(speech: Path) -> None:
    break_file(speech, "codebooks")
    report = check_folder(speech)
    assert said(report) == {"u003.npy": "has 3 codebooks, most have 4"}
    assert (len(report.utterances), len(report.highest_codes)) == (11, 4)
    (speech / "u003.lab").write_text("")
    assert said(check_folder(speech)).keys() == {"u003.npy", "u003.lab"}


def test_the_highest_codes_are_told_by_codebook(speech: Path) -> None:
    np.save(speech / "u003.npy", np.array([[70, 2], [1, 80], [3, 90], [75, 4]]))
    assert check_folder(speech).highest_codes == (70, 80, 90, 75)


def test_what_may_be_meant_so_is_a_warning(speech: Path, shape: ModelShape) -> None:
    (speech / "u005.lab").write_text((speech / "u004.lab").read_text())
    for suffix in (".npy", ".lab"):
        (speech / f"U006{suffix}").write_bytes((speech / f"u006{suffix}").read_bytes())
    report = check_folder(speech, shape)
    assert report.problems == ()
    sentences = {warning.file: warning.sentence for warning in report.warnings}
    assert sentences["u005.lab"] == "says the same as u004.lab"
    assert "only in case" in sentences["u006.npy"]


@pytest.mark.parametrize("what", ["missing", "file", "empty", "other files"])
def test_a_folder_that_is_none(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "speech"
    if what == "file":
        folder.write_text("x")
    elif what != "missing":
        folder.mkdir()
    if what == "other files":
        (folder / "a.wav").write_text("x")
    with pytest.raises((DataProblem, FolderMissing)) as refused:
        check_folder(folder)
    assert str(folder) in refused.value.message
    assert refused.value.hint


def test_sub_folders_are_speakers(tmp_path: Path) -> None:
    (tmp_path / "all").mkdir()
    write_speech(tmp_path / "all" / "anna", utterances=3)
    write_speech(tmp_path / "all" / "elias", utterances=2)
    assert list(find_pairs(tmp_path / "all")) == [
        *(f"anna/u00{n}" for n in range(3)),
        *(f"elias/u00{n}" for n in range(2)),
    ]


def test_a_pack_gives_back_what_went_in(speech: Path, shape: ModelShape, tmp_path: Path) -> None:
    packed = pack_folder(speech, tmp_path / "packed", shape)
    opened = read_pack(packed.path)
    assert packed.path.stem == packed.sha256
    assert (len(opened), packed.utterances) == (12, 12)
    for index, name in enumerate(opened.names):
        np.testing.assert_array_equal(opened.codes(index), np.load(speech / f"{name}.npy"))
        assert opened.text(index) == (speech / f"{name}.lab").read_text().strip()


def test_the_same_folder_gives_the_same_bytes(speech: Path, tmp_path: Path) -> None:
    first = pack_folder(speech, tmp_path / "one")
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in sorted(speech.iterdir(), reverse=True):
        (copy / path.name).write_bytes(path.read_bytes())
    assert pack_folder(copy, tmp_path / "two").sha256 == first.sha256
    (copy / "u001.lab").write_text("muuta")
    assert pack_folder(copy, tmp_path / "two").sha256 != first.sha256


def test_the_bytes_of_a_pack_stay_what_they_were(tmp_path: Path) -> None:
    """Runs that are there already name their data by this digest."""
    (tmp_path / "anna").mkdir()
    for frames, name in ((3, "anna/b"), (5, "a")):
        np.save(tmp_path / f"{name}.npy", np.arange(2 * frames, dtype=">i8").reshape(2, frames))
        (tmp_path / f"{name}.lab").write_text(f"sää {name}\n", encoding="utf-8")
    packed = pack_folder(tmp_path, tmp_path)
    assert packed.sha256 == "88c67aef0feb0deb0cc0173654a6fb545d861406759e0f232ceea87916fda126"
    assert (packed.utterances, packed.frames) == (2, 8)
    assert packed.size_bytes == packed.path.stat().st_size


CHANGES: dict[str, Callable[[Path], object]] = {
    "a text is gone": lambda folder: (folder / "u003.lab").write_text(""),
    "codes are gone": lambda folder: (folder / "u003.npy").write_bytes(b""),
    "fewer frames": lambda folder: np.save(folder / "u003.npy", CODES[:, :1]),
    "a higher code": lambda folder: np.save(folder / "u003.npy", CODES + 99),
    "fewer codebooks": lambda folder: np.save(folder / "u003.npy", CODES[:1]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_that_changes_while_it_is_packed_is_refused(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    def check_and_change(folder: Path, shape: ModelShape | None) -> DataReport:
        report = check_folder(folder, shape)
        CHANGES[change](folder)
        return report

    monkeypatch.setattr(packing, "check_folder", check_and_change)
    with pytest.raises(DataProblem, match="u003 changed after it was checked"):
        pack_folder(speech, tmp_path / "new" / "packed")
    assert not (tmp_path / "new").exists()


def test_a_full_disk_leaves_no_half_pack(tmp_path: Path) -> None:
    np.save(tmp_path / "long.npy", np.zeros((10, 30_000), dtype=np.int64))
    (tmp_path / "long.lab").write_text("pitkä")
    with small_disk(tmp_path / "packed", "1m") as packed:
        with pytest.raises(StoreFull, match="no space is left for"):
            pack_folder(tmp_path, packed)
        assert list(packed.iterdir()) == []


def test_a_pack_that_cannot_get_its_name_leaves_nothing(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StoreFull, match="no space is left for"):
        pack_folder(speech, tmp_path / "packed")
    assert not (tmp_path / "packed").exists()


@pytest.mark.parametrize("frames_at_once", [1, 7, 10**6])
def test_however_many_frames_are_held_at_once_the_bytes_are_the_same(
    speech: Path, tmp_path: Path, frames_at_once: int
) -> None:
    wanted, report = pack_folder(speech, tmp_path / "one"), check_folder(speech, None)
    found = pack_report(report, tmp_path / "two", frames_at_once=frames_at_once)
    assert found.sha256 == wanted.sha256
    assert wanted.path.read_bytes() == safetensors_of(wanted.path)


def safetensors_of(path: Path) -> bytes:
    """The file's arrays as the library saves them."""
    with safe_open(path, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        saved: bytes = save(arrays, metadata=file.metadata())
    return saved


def test_names_keep_their_order_and_their_umlauts(tmp_path: Path) -> None:
    folder = tmp_path / "speech"
    (folder / "sää").mkdir(parents=True)
    names = ["Z", "a", "sää/ö", "ä"]
    for frames, name in enumerate(reversed(names), 1):
        np.save(folder / f"{name}.npy", np.full((4, frames), frames))
        (folder / f"{name}.lab").write_text(f"öljy {name}", encoding="utf-8")
    opened = read_pack(pack_folder(folder, tmp_path).path)
    assert opened.names == tuple(names)
    assert [opened.codes(n).shape for n in range(4)] == [(4, 4), (4, 3), (4, 2), (4, 1)]
    assert [opened.text(n) for n in range(4)] == [f"öljy {name}" for name in names]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("frame_offsets", np.array([0, 5])),
        ("frame_offsets", np.array([0, 900, 900, 27])),
        ("text_offsets", np.array([1, 2, 3, 40])),
        ("name_offsets", np.array([0, 4, 8, 99])),
        ("name_offsets", np.array([0.0, 4.0, 8.0, 12.0])),
        ("name_offsets", np.array([0, 8, 12])),
        ("name_offsets", np.zeros((0,), dtype=np.int64)),
        ("codes", np.zeros((27,), dtype=np.int32)),
    ],
)
def test_a_pack_whose_parts_do_not_fit_is_refused(
    tmp_path: Path, name: str, values: np.ndarray
) -> None:
    packed = pack_folder(write_speech(tmp_path / "speech", utterances=3), tmp_path)
    arrays = load_file(packed.path)
    assert (arrays["codes"].shape[1], arrays["names"].size) == (27, 12)
    save_file({**arrays, name: values}, tmp_path / "other.safetensors")
    with pytest.raises(DataProblem, match=r"is not a packed data set: (it|an array)") as refused:
        read_pack(tmp_path / "other.safetensors")
    assert refused.value.hint


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\0\0\0\0\0\0\0{}      "])
def test_what_is_no_pack_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(DataProblem, match="is not a packed data set"):
        read_pack(path)


def test_a_truncated_pack_is_refused(speech: Path, tmp_path: Path) -> None:
    packed = pack_folder(speech, tmp_path / "packed")
    packed.path.write_bytes(packed.path.read_bytes()[:-5])
    with pytest.raises(DataProblem):
        read_pack(packed.path)


def test_both_parts_of_the_split_need_an_utterance() -> None:
    names = [f"u{n}" for n in range(50)]
    parts = split(names, 0.1)
    assert sorted((*parts.train, *parts.held_out)) == list(range(50))
    with pytest.raises(DataProblem, match="none is held out"):
        split([name for i, name in enumerate(names) if i in parts.train], 0.1)
    with pytest.raises(DataProblem, match="none is to train on"):
        split([names[i] for i in parts.held_out], 0.1)
