"""The journal of what was encoded."""

from __future__ import annotations

from pathlib import Path

from fintts_inputs.recordings.receipts import JOURNAL, CodecRecord, Receipt, Receipts

CODEC = CodecRecord(
    title="a", digest="0" * 64, sample_rate=8000, frame_samples=10, codebook_sizes=[4]
)


def receipt(name: str) -> Receipt:
    return Receipt(
        name=name,
        key="k",
        file=f"{name}.wav",
        speaker="",
        seconds=1,
        loudness_lufs=-23,
        frames=9,
        codes_sha256="c",
    )


def test_a_receipt_after_an_unfinished_line_is_read_again(tmp_path: Path) -> None:
    Receipts(tmp_path, CODEC).add(receipt("a"))
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'{"name": "b", "ke')
    Receipts(tmp_path, CODEC).add(receipt("c"))
    found = Receipts(tmp_path, CODEC)
    assert [found.of(name) is not None for name in ("a", "b", "c")] == [True, False, True]
