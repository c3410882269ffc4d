"""Encodes utterances with the base model's tokenizer, and refuses those that do not fit."""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePath
from typing import TYPE_CHECKING

import numpy as np

from fintts_cost import __version__
from fintts_inputs.data.codes import transposed
from fintts_inputs.errors import DataProblem
from fintts_trainer.data.encoded import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from fintts_inputs.data.pack import Pack
    from fintts_store.runs.run_record import RunRecord
    from fintts_trainer.families.base import BaseModel, Example

WEIGHTS = frozenset({".pth", ".safetensors"})


def encoding_key(record: RunRecord) -> str:
    """SHA-256 of all that the encoded utterances depend on: the data, the base model's files
    without its weights, the prompt, and the program."""
    files = sorted(
        (file.name, file.sha256)
        for file in record.base_model.files
        if PurePath(file.name).suffix not in WEIGHTS
    )
    prompt = [] if record.prompt is None else [record.prompt]
    content = [FORMAT, __version__, record.packed.sha256, files, *prompt]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def encode_utterances(base: BaseModel, pack: Pack, indices: Iterable[int]) -> Iterator[Example]:
    """Yields the example of each utterance.

    Raises:
        DataProblem: an utterance does not fit the model; the message names it.
    """
    frame = np.zeros((base.shape.num_codebooks, 1), dtype=np.int64)
    wordless = _text_ids(base.encode("", frame))
    for index in indices:
        name, codes = pack.name(index), pack.codes(index).astype(np.int64)
        _refuse_codes(base, name, codes)
        example = base.encode(pack.text(index), codes)
        _refuse_length(base, name, example)
        if np.array_equal(_text_ids(example), wordless):
            raise DataProblem(
                f"the transcript of utterance {name} is empty for the base model's tokenizer",
                "write the spoken words into its .lab file, or remove the utterance",
            )
        yield example


def _text_ids(example: Example) -> npt.NDArray[np.int64]:
    return example.tokens[0, : example.text_length]


def _refuse_codes(base: BaseModel, name: str, codes: npt.NDArray[np.int64]) -> None:
    shape = base.shape
    hint = "encode the audio with the codec of the base model"
    if sentence := transposed(codes.shape, shape.num_codebooks):
        raise DataProblem(f"utterance {name} {sentence}", "correct its file, and start a new run")
    if codes.shape[0] != shape.num_codebooks:
        raise DataProblem(
            f"utterance {name} has {codes.shape[0]} codebooks, "
            f"but the base model has {shape.num_codebooks}",
            hint,
        )
    if not codes.size:
        raise DataProblem(f"utterance {name} has no frames", hint)
    if codes.min() < 0:
        raise DataProblem(f"utterance {name} has the negative code {codes.min()}", hint)
    if codes.max() >= shape.codebook_size:
        raise DataProblem(
            f"utterance {name} has the code {codes.max()}, but the last one of the base model is "
            f"{shape.codebook_size - 1}",
            hint,
        )


def _refuse_length(base: BaseModel, name: str, example: Example) -> None:
    if example.length - 1 > base.shape.max_seq_len:
        raise DataProblem(
            f"utterance {name} is {example.length - 1} tokens long, but the base model reads at "
            f"most {base.shape.max_seq_len}",
            "split it into shorter utterances, or remove it",
        )
