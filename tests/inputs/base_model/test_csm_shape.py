"""CSM's config.json on the laptop: counts that are transformers' own, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import CsmConfig, CsmDepthDecoderConfig

from fintts_inputs.base_model.csm.config import CsmCodecFile, CsmConfigFile, CsmDepthFile
from fintts_inputs.base_model.families import parse_shape, read_config, read_shape
from fintts_inputs.base_model.shape import StackShape
from fintts_inputs.data.check import check_folder
from fintts_inputs.errors import BaseModelProblem
from fintts_trainer.data.batches import collate
from fintts_trainer.families.csm import CsmFamily
from tiny_csm import new_csm, write_tiny_csm

CSM_1B: dict[str, object] = {"model_type": "csm"}
READ_ELSEWHERE = {"codec_config", "depth_decoder_config", "transformers_weights"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_csm(tmp_path_factory.mktemp("csm") / "base")


def test_what_a_config_leaves_out_is_as_in_transformers() -> None:
    backbone, depth = CsmConfig(), CsmDepthDecoderConfig()
    for mine, theirs in (
        (CsmConfigFile(), backbone),
        (CsmDepthFile(), depth),
        (CsmCodecFile(), backbone.codec_config),
    ):
        names = set(type(mine).model_fields) - READ_ELSEWHERE - {"head_dim"}
        assert {n: getattr(mine, n) for n in names} == {n: getattr(theirs, n) for n in names}
    shape = parse_shape(CSM_1B)
    assert (shape.slow.head_dim, shape.fast.head_dim) == (backbone.head_dim, depth.head_dim)


def test_csm_1b_has_the_known_counts() -> None:
    with torch.device("meta"):
        model = new_csm(CsmConfig())
    codec = sum(parameter.numel() for parameter in model.codec_model.parameters())
    apart = sum(parameter.numel() for parameter in model.parameters()) - codec
    tied = apart - model.depth_decoder.model.embed_tokens.weight.numel()
    shape = parse_shape(CSM_1B)
    assert shape.parameters == tied == 1_552_791_552
    assert parse_shape({**CSM_1B, "tie_codebooks_embeddings": False}).parameters == apart
    assert (shape.num_codebooks, shape.codebook_size, shape.code_choices) == (32, 2048, 2051)
    assert shape.max_seq_len == 2048


def test_the_work_is_what_torch_counts(folder: Path) -> None:
    base = CsmFamily().open(read_config(folder))
    frames = 10
    example = base.encode("laulun", np.zeros((4, frames), dtype=np.int64))
    model = base.load(torch.float32)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        predictions = model(collate([example]))
        predictions.logits()
    products = counter.get_flop_counts()["Global"][torch.ops.aten.mm]
    length = example.text_length + frames
    attention = _attention(base.shape.slow, length) + (frames + 1) * _attention(base.shape.fast, 4)
    forward_and_backward = base.shape.training_flops(example.text_length, frames)
    assert 2 * products == forward_and_backward - attention


def _attention(stack: StackShape, length: int) -> int:
    """Scores and their sums, forward once and backward twice, causal: half of the square."""
    return 12 * stack.layers * stack.heads * stack.head_dim * length**2 // 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_size": 0}, "hidden_size"),
        ({"attention_bias": True}, "biases in attention or MLP are not supported"),
        ({"depth_decoder_config": {"mlp_bias": True}}, "biases in attention or MLP"),
        ({"num_codebooks": 8}, "num_codebooks is 8, but its depth decoder has 32"),
        ({"hidden_size": 1024}, "hidden_size is 1024, but its depth decoder has 2048"),
        ({"vocab_size": 2048}, "vocab_size is 2048, but"),
        ({"codec_config": {"codebook_size": 4096}}, "codebook_size does not fit in vocab_size"),
        ({"num_key_value_heads": 5}, "32 heads of 64 cannot share 5"),
        ({"codebook_eos_token_id": 2051}, "codebook_eos_token_id does not fit"),
        ({"depth_decoder_config": {"max_position_embeddings": 31}}, "too few for a frame"),
        ({"model_type": "csm2"}, "model_type is 'csm2', not 'dual_ar'"),
    ],
)
def test_a_config_that_does_not_hold_together_is_refused(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**CSM_1B, **change}))
    with pytest.raises(BaseModelProblem, match=said):
        read_shape(tmp_path)


def test_what_transformers_refuses_is_said_in_one_sentence(folder: Path, tmp_path: Path) -> None:
    content = json.loads((folder / "config.json").read_text())
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({**content, "hidden_act": "wishful"}))
    with pytest.raises(BaseModelProblem, match="transformers rejects"):
        CsmFamily().open(read_config(tmp_path)).load(torch.float32)


def test_codes_that_mean_the_end_or_padding_are_no_data(folder: Path, tmp_path: Path) -> None:
    """The model has 67 choices, of which the codec makes 64."""
    shape = read_shape(folder)
    for name, codebooks, highest in (("good", 4, 63), ("pad", 4, 64), ("few", 3, 5)):
        np.save(tmp_path / f"{name}.npy", np.full((codebooks, 5), highest, dtype=np.int16))
        (tmp_path / f"{name}.lab").write_text(f"rivi {name}")
    report = check_folder(tmp_path, shape)
    assert [utterance.name for utterance in report.utterances] == ["good"]
    assert {problem.file: problem.sentence for problem in report.problems} == {
        "few.npy": "has 3 codebooks, the base model 4",
        "pad.npy": "has the code 64, but the last one of the base model is 63",
    }
