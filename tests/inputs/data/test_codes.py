"""Codes that lie the wrong way round are said to, and a .npy file is never unpickled."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from fintts_inputs.base_model.families import read_shape
from fintts_inputs.base_model.shape import ModelShape
from fintts_inputs.data.check import DataReport, check_folder
from fintts_inputs.data.codes import parse_codes, usual_codebooks
from fintts_inputs.data.pack import read_pack
from fintts_inputs.data.packing import pack_folder
from fintts_inputs.errors import DataProblem
from fintts_trainer.data.encode import encode_utterances
from fintts_trainer.families.fish import FishBase
from tiny_run import TINY

SHAPE = read_shape(TINY)
SQUARE = "is a square, 4 by 4, and probably transposed like the others"


def turned(frames: int) -> str:
    return (
        f"is transposed: it is [{frames} frames, 4 codebooks], but must be [codebooks, frames]; "
        "save codes.T instead"
    )


def write(folder: Path, *sizes: tuple[int, int]) -> Path:
    """u0, u1 … with codes of these sizes."""
    folder.mkdir()
    for number, size in enumerate(sizes):
        np.save(folder / f"u{number}.npy", np.ones(size, dtype=np.int16))
        (folder / f"u{number}.lab").write_text(f"rivi {number}")
    return folder


def said(report: DataReport) -> dict[str, str]:
    return {problem.file.removesuffix(".npy"): problem.sentence for problem in report.problems}


@pytest.mark.parametrize("shape", [SHAPE, None])
@pytest.mark.parametrize(
    ("sizes", "wrong"),
    [
        ([(4, 6), (4, 9)], {}),
        ([(6, 4), (9, 4)], {"u0": turned(6), "u1": turned(9)}),
        ([(4, 6), (9, 4), (4, 7)], {"u1": turned(9)}),
        ([(6, 4), (9, 4), (4, 4)], {"u0": turned(6), "u1": turned(9), "u2": SQUARE}),
        ([(4, 6), (9, 4), (4, 4), (4, 8)], {"u1": turned(9)}),
        ([(200, 4), (200, 4)], {"u0": turned(200), "u1": turned(200)}),
        ([(4, 200), (4, 200)], {}),
        ([(200, 4)], {"u0": turned(200)}),
    ],
)
def test_transposed_codes_are_said_to_be(
    tmp_path: Path,
    shape: ModelShape | None,
    sizes: list[tuple[int, int]],
    wrong: dict[str, str],
) -> None:
    report = check_folder(write(tmp_path / "speech", *sizes), shape)
    assert said(report) == wrong
    assert report.warnings == ()


def test_another_number_of_codebooks_is_no_transpose(tmp_path: Path) -> None:
    report = check_folder(write(tmp_path / "speech", (3, 9), (8, 3)), SHAPE)
    assert said(report) == {
        "u0": "has 3 codebooks, the base model 4",
        "u1": "has 8 codebooks, the base model 4",
    }


def test_squares_alone_are_told(tmp_path: Path) -> None:
    report = check_folder(write(tmp_path / "speech", (4, 4), (4, 4)), SHAPE)
    assert report.problems == ()
    assert [(one.file, one.sentence) for one in report.warnings] == [
        (f"u{n}.npy", "is a square, 4 by 4: check that it is not transposed") for n in range(2)
    ]


def test_the_trainer_says_so_of_a_pack_that_was_made_without_a_base_model(
    tmp_path: Path, base: FishBase
) -> None:
    packed = pack_folder(write(tmp_path / "speech", (6, 4)), tmp_path / "packed")
    with pytest.raises(DataProblem, match=r"utterance u0 is transposed: it is \[6 frames, 4"):
        list(encode_utterances(base, read_pack(packed.path), range(1)))


@pytest.mark.parametrize(
    ("sizes", "codebooks"),
    [([], 0), ([(8, 100)], 8), ([(100, 8)], 8), ([(8, 5)], 8), ([(5, 8), (6, 8)], 8)],
)
def test_the_codebooks_of_a_folder(sizes: list[tuple[int, int]], codebooks: int) -> None:
    assert usual_codebooks(sizes) == codebooks


def npy(array: npt.NDArray[np.generic], *, pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=pickle)
    return stream.getvalue()


class Witness:
    """Unpickled, it would end the test."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("it was unpickled",)


HEADER = "{'descr': '<i4', 'fortran_order': False, 'shape': (4, 1000000000000), }"
HUGE = b"\x93NUMPY\x01\x00v\x00" + HEADER.ljust(117).encode() + b"\n"
WHOLE = npy(np.arange(24, dtype=np.int32).reshape(4, 6))
FAULTS = {
    "objects": (
        npy(np.array([[Witness()]]), pickle=True),
        "contains Python objects, which are not",
    ),
    "a field of objects": (
        npy(np.zeros((4, 6), dtype=[("a", "O")]), pickle=True),
        "contains Python objects, which are not loaded",
    ),
    "floats": (npy(np.ones((4, 6), dtype=np.float16)), "holds float16 instead of integers"),
    "truth": (npy(np.ones((4, 6), dtype=bool)), "holds bool instead of integers"),
    "complex numbers": (npy(np.ones((4, 6), dtype=complex)), "holds complex128 instead"),
    "letters": (npy(np.full((4, 6), "a")), "instead of integers"),
    "records": (npy(np.zeros((4, 6), dtype=[("ä", "i4")])), "instead of integers"),
    "no frames": (npy(np.zeros((4, 0), dtype=np.int32)), "is empty: [4, 0]"),
    "no codebooks": (npy(np.zeros((0, 6), dtype=np.int32)), "is empty: [0, 6]"),
    "a batch": (npy(np.zeros((1, 4, 6), dtype=np.int32)), "has 3 dimensions instead of two"),
    "one number": (npy(np.array(3, dtype=np.int32)), "has 0 dimensions instead of two"),
    "cut in its codes": (WHOLE[:-1], "is truncated: it has 95 of the 96 bytes of its codes"),
    "cut after its header": (WHOLE[:-96], "is truncated: it has 0 of the 96 bytes"),
    "cut in its header": (WHOLE[:40], "is not a complete .npy file of numbers"),
    "cut in its mark": (WHOLE[:4], "is not a complete .npy file of numbers"),
    "nothing": (b"", "is not a complete .npy file of numbers"),
    "more than its codes": (WHOLE + b"\0", "has data after its array"),
    "more than memory holds": (
        HUGE,
        "is truncated: it has 0 of the 16,000,000,000,000 bytes of its codes",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_holds_no_codes_says_why(name: str) -> None:
    content, sentence = FAULTS[name]
    codes, fault = parse_codes(content)
    assert sentence in fault
    assert codes.size == 0


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<i2", ">i4", "u1", "uint64"])
@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_every_order_type_and_version_gives_the_same_codes(
    order: str, dtype: str, version: tuple[int, int]
) -> None:
    wanted = np.arange(24).reshape(4, 6)
    array = np.asarray(wanted, dtype=dtype, order=order)  # type: ignore[call-overload] # its orders are literals
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, version=version)
    codes, fault = parse_codes(stream.getvalue())
    assert fault == ""
    assert codes.dtype == np.int64
    np.testing.assert_array_equal(codes, wanted)
