"""Fish Audio S2's shape and files: tied head, norm before the fast stack, shards, tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from checks import every
from fintts_inputs.base_model.families import parse_shape, read_config, read_shape
from fintts_inputs.base_model.files import INDEX, base_model_files
from fintts_inputs.base_model.fish.weights import S2
from fintts_inputs.config import LoraConfig
from fintts_inputs.errors import BaseModelProblem
from fintts_trainer.data.batches import collate
from fintts_trainer.families.base import Batch, Predictions
from fintts_trainer.families.fish import FishBase, FishFamily
from fintts_trainer.families.fish.model import DualAR
from fintts_trainer.families.fish.weights import from_fish, to_fish
from fintts_trainer.families.weight_files import read_state_dict
from fintts_trainer.model.lora import add_adapter, trainable
from released_shapes import S2_PRO
from tiny_run import TINY
from tiny_s2 import SHARDS, write_tiny_s2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_s2(tmp_path / "s2")


@pytest.fixture
def s2(folder: Path) -> FishBase:
    return FishFamily().open(read_config(folder))


def utterances(base: FishBase) -> Batch:
    generator = np.random.default_rng(1)
    codes = [generator.integers(0, 64, (4, frames)) for frames in (5, 9)]
    return collate([base.encode(f"Rivi {n}, sana", code) for n, code in enumerate(codes)])


def answers(model: torch.nn.Module, batch: Batch) -> Predictions:
    with torch.no_grad():
        found = model(batch)
    assert isinstance(found, Predictions)
    return found


# --- shape --------------------------------------------------------------------------------------


def test_the_released_shape_is_counted_as_it_is_built() -> None:
    shape = parse_shape(S2_PRO)
    assert (shape.tied_head, shape.scaled_embeddings, shape.norm_fast_input) == (True, True, True)
    assert (shape.slow.qk_norm, shape.fast.qk_norm) == (True, False)
    with torch.device("meta"):
        model = DualAR(shape, 151_678, 155_773)
    assert shape.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_a_tied_head_is_not_counted_twice_in_an_adapter() -> None:
    shape = parse_shape(S2_PRO)
    assert shape.lora_parameters(8, ("heads",)) == 8 * (2560 + 4096)
    embeddings = 155_776 + 40_960 + 4096 + 3 * 2560
    assert shape.lora_parameters(8, ("embeddings",)) == 8 * embeddings


@pytest.mark.parametrize(
    ("section", "change", "said"),
    [
        ("text_config", {"use_moe": True}, "use_moe"),
        ("text_config", {"n_layer": 0}, "text_config.n_layer"),
        ("audio_decoder_config", {"rope_base": 10_000}, "rope_base"),
        ("audio_decoder_config", {"text_dim": 1024}, "text_dim is 1024"),
        ("audio_decoder_config", {"num_codebooks": None}, "num_codebooks"),
        ("text_config", {"attention_qkv_bias": True}, "biases"),
    ],
)
def test_what_is_not_supported_is_named(section: str, change: dict[str, object], said: str) -> None:
    content = json.loads(json.dumps(S2_PRO))
    content[section] |= change
    with pytest.raises(BaseModelProblem, match=said):
        parse_shape(content)


# --- weights ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fast_norm", [False, True])
def test_sharded_weights_convert_back_bit_for_bit(tmp_path: Path, fast_norm: bool) -> None:
    folder = write_tiny_s2(tmp_path / "s2", fast_norm=fast_norm)
    shape, state = read_shape(folder), read_state_dict(folder)
    back = to_fish(from_fish(state, shape), shape, S2)
    assert back.keys() == state.keys()
    assert every(torch.equal(back[key], state[key]) for key in state)


def test_query_and_key_are_normalised_where_the_configuration_says(tmp_path: Path) -> None:
    plain = FishFamily().open(read_config(write_tiny_s2(tmp_path / "plain")))
    normed = FishFamily().open(read_config(write_tiny_s2(tmp_path / "normed", fast_norm=True)))
    batch = utterances(plain)
    before = answers(plain.load(torch.float32), batch)
    after = answers(normed.load(torch.float32), batch)
    torch.testing.assert_close(after.logits()["token"], before.logits()["token"], atol=0, rtol=0)
    assert (after.logits()["code"] - before.logits()["code"]).abs().max() > 1e-2


def test_the_head_is_the_embedding(s2: FishBase) -> None:
    """S1-mini's model whose head is given the embedding's weights answers as the tied one does."""
    apart = FishFamily().open(read_config(TINY)).load(torch.float32)
    assert apart.lm_head is not None
    apart.lm_head.weight.data = apart.slow.embed_tokens.weight.data
    batch = utterances(s2)
    torch.testing.assert_close(
        answers(s2.load(torch.float32), batch).logits()["token"],
        answers(apart, batch).logits()["token"],
        atol=1e-6,
        rtol=0,
    )


def test_the_fast_stack_reads_the_hidden_state_after_the_norm(s2: FishBase) -> None:
    model, batch = s2.load(torch.float32), utterances(s2)
    seen: list[torch.Tensor] = []

    def note(_module: object, _arguments: object, named: dict[str, torch.Tensor]) -> None:
        seen.append(named["inputs_embeds"][:, 0])

    model.fast.register_forward_pre_hook(note, with_kwargs=True)
    answers(model, batch)
    with torch.no_grad():
        hidden = model.slow_hidden(batch.inputs)
    semantic = model._is_semantic(batch.labels[:, 0])
    torch.testing.assert_close(seen[0], model.norm(hidden)[semantic], atol=1e-6, rtol=0)
    assert (seen[0] - hidden[semantic]).abs().max() > 1e-2


def test_a_tied_head_s_adapter_learns_from_the_head_too(s2: FishBase) -> None:
    """Rows of the embedding that only the head reads, because they occur in no input."""
    targets = LoraConfig(targets=("embeddings",))
    model = add_adapter(s2.load(torch.float32), s2.targets, targets, base_name="tiny", seed=1)
    for parameter in trainable(model).values():
        parameter.data.normal_(0, 0.05, generator=torch.Generator().manual_seed(3))
    batch = utterances(s2)
    model(batch).losses()["token"].total.backward()
    name = "base_model.model.slow.embed_tokens.lora_embedding_A.default"
    gradient = trainable(model)[name].grad
    assert gradient is not None
    read = set(batch.inputs[:, 0].flatten().tolist())
    unread = [i for i in range(s2.shape.vocab_size) if i not in read]
    assert bool(gradient[:, unread].any(dim=0).all())


def _shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _change_index(folder: Path, change: Callable[[dict[str, str]], object]) -> None:
    index = json.loads((folder / INDEX).read_text())
    change(index["weight_map"])
    (folder / INDEX).write_text(json.dumps(index))


NORM = "text_model.model.norm.weight"
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "shard missing": (lambda f: (f / SHARDS[1]).unlink(), f"has no {SHARDS[1]}, which {INDEX}"),
    "shard truncated": (lambda f: _shorten(f / SHARDS[0]), f"{SHARDS[0]} cannot be read"),
    "shard of html": (lambda f: (f / SHARDS[0]).write_text("<html>"), "cannot be read"),
    "shard outside": (
        lambda f: _change_index(f, lambda where: where.update({NORM: "../x.safetensors"})),
        r"outside the folder: '\.\./x\.safetensors'",
    ),
    "shard by absolute path": (
        lambda f: _change_index(f, lambda where: where.update({NORM: "/etc/passwd"})),
        "outside the folder: '/etc/passwd'",
    ),
    "index without a weight": (
        lambda f: _change_index(f, lambda where: where.pop(NORM)),
        f"has {NORM}, but {INDEX} says otherwise",
    ),
    "index with one too many": (
        lambda f: _change_index(f, lambda where: where.update({"more": SHARDS[0]})),
        f"{SHARDS[0]} lacks more",
    ),
    "index of a list": (lambda f: (f / INDEX).write_text('{"weight_map": []}'), "not a table"),
    "index empty": (lambda f: (f / INDEX).write_text("{}"), "not a table"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_weights_are_one_sentence(folder: Path, name: str) -> None:
    damage, said = DAMAGES[name]
    damage(folder)
    with pytest.raises(BaseModelProblem, match=said) as caught:
        FishFamily().open(read_config(folder)).load(torch.float32)
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_missing_weights_are_named_as_the_release_names_them(folder: Path) -> None:
    state = read_state_dict(folder)
    state["audio_decoder.more"] = state.pop("audio_decoder.norm.weight")
    with pytest.raises(BaseModelProblem, match=r"missing \(audio_decoder\.norm\.weight\)"):
        from_fish(state, read_shape(folder))
    with pytest.raises(BaseModelProblem, match=r"unexpected \(audio_decoder\.more\)"):
        from_fish(state, read_shape(folder))


def test_whole_numbers_are_no_weights(base_folder: Path) -> None:
    state = dict(read_state_dict(base_folder))
    state["layers.0.attention.wo.weight"] = torch.zeros(64, 128, dtype=torch.int8)
    torch.save({key: weight.clone() for key, weight in state.items()}, base_folder / "new.pth")
    (base_folder / "new.pth").replace(base_folder / "model.pth")
    with pytest.raises(BaseModelProblem, match=r"wo\.weight is stored as int8") as caught:
        FishFamily().open(read_config(base_folder)).load(torch.float32)
    assert "quantised" in caught.value.hint


def test_one_file_of_safetensors_is_read_rather_than_a_pickle(base_folder: Path) -> None:
    from safetensors.torch import save_file

    state = {key: weight.clone() for key, weight in read_state_dict(base_folder).items()}
    save_file(state, base_folder / "model.safetensors")
    (base_folder / "model.pth").write_bytes(b"damaged")
    FishFamily().open(read_config(base_folder)).load(torch.float32)
    assert "model.pth" not in base_model_files(base_folder)


# --- tokenizer ----------------------------------------------------------------------------------

TEXTS = [
    "Mieleni minun tekevi, aivoni ajattelevi",
    "it's 12,345 €!?  two  spaces\n\nand lines \t",
    "日本語 ёж 🙂 ﬁ",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
def test_both_tokenizers_agree(s2: FishBase, base: FishBase, text: str) -> None:
    ids = s2.tokenizer.encode_text(text)
    assert ids == base.tokenizer.encode_text(text)
    assert s2.tokenizer.text.decode(ids) == text


def test_both_know_the_same_control_tokens(s2: FishBase, base: FishBase) -> None:
    ours, theirs = s2.tokenizer, base.tokenizer
    assert every(ours.id_of(token) == theirs.id_of(token) for token in theirs.control)
    for name in ("end_id", "semantic_begin_id", "semantic_end_id", "size"):
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.parametrize("token", ["<|im_end|>", "<|interleave|>", "<|semantic:5|>", "<|pad|>"])
def test_what_looks_like_control_stays_text(s2: FishBase, token: str) -> None:
    ids = s2.tokenizer.encode_text(f"ennen {token} jälkeen")
    first_control = s2.tokenizer.id_of("<|begin_of_text|>")
    assert max(ids) < first_control
    assert s2.tokenizer.text.decode(ids) == f"ennen {token} jälkeen"


TOKENIZER_DAMAGES: dict[str, tuple[str, str]] = {
    "no json": ("{", "is not JSON"),
    "a list": ("[]", "is not a tokenizer"),
    "no byte pairs": ('{"added_tokens": []}', "is not a tokenizer: model"),
    "no merges": ('{"added_tokens": [], "model": {"vocab": {"a": 0}}}', "is not a tokenizer"),
}


@pytest.mark.parametrize("name", TOKENIZER_DAMAGES)
def test_a_damaged_tokenizer_is_one_sentence(folder: Path, name: str) -> None:
    content, said = TOKENIZER_DAMAGES[name]
    (folder / "tokenizer.json").write_text(content)
    with pytest.raises(BaseModelProblem, match=said):
        FishFamily().open(read_config(folder))


def test_a_tokenizer_without_the_semantic_tokens_is_refused(folder: Path) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["added_tokens"] = [
        token for token in content["added_tokens"] if token["content"] != "<|semantic:63|>"
    ]
    path.write_text(json.dumps(content))
    with pytest.raises(BaseModelProblem, match=r"tokenizer\.json has no <\|semantic:63\|>"):
        FishFamily().open(read_config(folder))


def test_a_folder_without_any_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(BaseModelProblem, match="has no tokenizer"):
        FishFamily().open(read_config(folder))
