"""An adapter to begin with: what its matrices mean, and which they are, seen without torch."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from peft import LoraConfig as PeftLoraConfig
from peft import get_peft_model
from safetensors.torch import load_file, save_file

from fintts_inputs.base_model.adapter import (
    ADAPTER_CONFIG,
    ADAPTER_FILE,
    AS_PEFT,
    BASE_DIGEST,
    PROMPT,
    check_initial_adapter,
    of_other_prompt,
)
from fintts_inputs.base_model.adapter_keys import (
    COMPARED,
    NEUTRAL,
    OFF,
    OTHER_STARTS,
    STARTS,
    refuse_other_meaning,
)
from fintts_inputs.base_model.fish.prompts import FISH_S1, PROMPTS
from fintts_inputs.base_model.matrices import adapter_tensors
from fintts_inputs.base_model.tensors import EXPONENTS, read_header
from fintts_inputs.config import LoraConfig
from fintts_inputs.errors import BaseModelProblem
from fintts_trainer.data.batches import collate
from fintts_trainer.families import open_base
from fintts_trainer.families.base import BaseModel, Example
from fintts_trainer.families.fish import FishBase
from fintts_trainer.model.lora import add_adapter, open_adapter, write_adapter
from tiny_csm import write_tiny_csm
from tiny_export import write_random_adapter
from tiny_fish import write_fish
from tiny_run import TINY
from tiny_s2 import write_tiny_s2

LORA = LoraConfig(rank=4)
OF_PEFT_0_2 = {"merge_weights", "enable_lora"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole adapter of the tiny model."""
    base = open_base(TINY)
    assert isinstance(base, FishBase)
    return write_random_adapter(base, tmp_path_factory.mktemp("plain") / "adapter")


@pytest.fixture
def adapter(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "adapter"))


def refused(folder: Path, lora: LoraConfig = LORA) -> str:
    with pytest.raises(BaseModelProblem) as caught:
        check_initial_adapter(folder, open_base(TINY).shape, lora)
    assert caught.value.hint
    return caught.value.message


def set_keys(folder: Path, **keys: object) -> Path:
    path = folder / ADAPTER_CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | keys))
    return folder


def test_a_plain_adapter_passes(adapter: Path) -> None:
    check_initial_adapter(adapter, open_base(TINY).shape, LORA)


# --- what the keys of its configuration mean


def test_every_key_of_the_installed_peft_is_known() -> None:
    """A new key of a new PEFT comes up here: put it where it belongs."""
    groups = (COMPARED, NEUTRAL, OFF)
    known = {key for group in groups for key in group}
    assert len(known) == sum(map(len, groups)), "each in one group"
    assert known - OF_PEFT_0_2 == {field.name for field in dataclasses.fields(PeftLoraConfig)}


def test_a_default_configuration_has_nothing_that_is_refused() -> None:
    refuse_other_meaning(Path("adapter"), dataclasses.asdict(PeftLoraConfig()))


@pytest.mark.parametrize("key", OFF)
def test_what_changes_the_meaning_is_refused_by_name(adapter: Path, key: str) -> None:
    assert f"it sets {key} ({OFF[key]})" in refused(set_keys(adapter, **{key: {"some": 1}}))
    values: list[object] = [None, False, {}, []]
    for off in values:
        check_initial_adapter(set_keys(adapter, **{key: off}), open_base(TINY).shape, LORA)


@pytest.mark.parametrize("key", NEUTRAL)
def test_what_does_not_change_it_is_not(adapter: Path, key: str) -> None:
    check_initial_adapter(set_keys(adapter, **{key: "some"}), open_base(TINY).shape, LORA)


@pytest.mark.parametrize("value", [None, False, True, 1, "x"])
def test_a_key_that_nobody_knows_is_refused(adapter: Path, value: object) -> None:
    assert "unknown to this version of fintts: 'use_new'" in refused(
        set_keys(adapter, use_new=value)
    )


PEFT_STARTS = ["gaussian", "orthogonal", "eva", "mica", "pissa", "olora"]


@pytest.mark.filterwarnings("ignore")  # PEFT's own, of configurations that it completes
@pytest.mark.parametrize("start", PEFT_STARTS)
def test_the_starts_that_pass_are_those_that_mean_the_same(
    base: FishBase, examples: list[Example], tmp_path: Path, start: str
) -> None:
    """PEFT's own adapter, trained a little and saved by PEFT, on the base model as released."""
    lora = LoraConfig(rank=4, targets=("attention",))
    names = list(base.targets["attention"])
    config = PeftLoraConfig(r=4, lora_alpha=16, target_modules=names)
    config.init_lora_weights = start  # type: ignore[assignment]  # a string, as in a file
    trained = get_peft_model(base.load(torch.float32), config)
    for parameter in trained.parameters():
        if parameter.requires_grad:
            parameter.data.mul_(1.1)
    trained.save_pretrained(str(tmp_path))

    batch = collate(examples)
    state = load_file(tmp_path / ADAPTER_FILE)
    plainly = add_adapter(base.load(torch.float32), base.targets, lora, base_name="t", seed=1)
    with torch.no_grad():
        for name, parameter in plainly.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(state[name.replace(".default", "")])
        wanted, found = trained(batch).logits()["token"], plainly(batch).logits()["token"]
    means_the_same = bool((wanted - found).abs().max() < 1e-4)

    if means_the_same:
        check_initial_adapter(tmp_path, base.shape, lora)
    else:
        with pytest.raises(BaseModelProblem, match=f"init_lora_weights: '{start}'"):
            check_initial_adapter(tmp_path, base.shape, lora)
        with pytest.raises(BaseModelProblem, match="the released one"):
            open_adapter(base.load(torch.float32), tmp_path)
    assert means_the_same == (start in STARTS)


@pytest.mark.parametrize(
    "start", [*OTHER_STARTS, "PiSSA", "pissa_niter_16", "something", 3, ["eva"]]
)
def test_other_starts_are_refused(adapter: Path, start: object) -> None:
    said = refused(set_keys(adapter, init_lora_weights=start))
    assert f"init_lora_weights{' is' if str(start)[0] in 's3[' else ':'} {start!r}" in said


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"peft_type": "IA3"}, "peft_type is 'IA3', but must be 'LORA': no other kind"),
        ({"peft_type": "lora"}, "peft_type is 'lora', but must be 'LORA': no other kind"),
        ({"r": "4"}, "r is '4', but must be a whole number of at least 1"),
        ({"r": True}, "r is True, but must be a whole number"),
        ({"r": 0}, "r is 0, but must be a whole number of at least 1"),
        ({"lora_alpha": float("nan")}, "lora_alpha is nan, but must be a number above 0"),
        ({"lora_alpha": 0}, "lora_alpha is 0, but must be a number above 0"),
        ({"lora_alpha": -16}, "lora_alpha is -16, but must be a number above 0"),
    ],
)
def test_what_is_no_number_is_refused(adapter: Path, keys: dict[str, object], said: str) -> None:
    assert said in refused(set_keys(adapter, **keys))


def test_a_key_that_is_missing_is_named(adapter: Path) -> None:
    path = adapter / ADAPTER_CONFIG
    content = json.loads(path.read_text())
    del content["peft_type"]
    path.write_text(json.dumps(content))
    assert "it has no peft_type" in refused(adapter)


def test_weights_that_are_a_folder_are_said_to_be_one(adapter: Path) -> None:
    (adapter / ADAPTER_FILE).unlink()
    (adapter / ADAPTER_FILE).mkdir()
    assert f"{ADAPTER_FILE} is a folder, not a safetensors file" in refused(adapter)


@pytest.mark.parametrize("text", ["[]", "3", "null"])
def test_what_is_no_table_is_refused(adapter: Path, text: str) -> None:
    (adapter / ADAPTER_CONFIG).write_text(text)
    assert ADAPTER_CONFIG in refused(adapter)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_damaged_configuration_is_the_adapter_s_and_not_the_base_model_s(
    adapter: Path, encoding: str
) -> None:
    path = adapter / ADAPTER_CONFIG
    path.write_text(path.read_text(), encoding=encoding)
    with pytest.raises(BaseModelProblem) as caught:
        check_initial_adapter(adapter, open_base(TINY).shape, LORA)
    assert caught.value.hint == AS_PEFT


# --- which tensors it has


def folders(tmp_path: Path) -> dict[str, Callable[[], Path]]:
    return {
        "s1": lambda: TINY,
        "1.5": lambda: TINY.parent / "fish_v15_tiny",
        "s2": lambda: write_tiny_s2(tmp_path / "s2", fast_norm=True),
        "projected": lambda: write_fish(tmp_path / "fish", torch.float32, fast_dim=48).folder,
        "csm": lambda: write_tiny_csm(tmp_path / "csm"),
        "csm tied": lambda: write_tiny_csm(tmp_path / "csm", tied=True),
    }


@pytest.mark.parametrize("name", folders(Path()))
def test_the_tensors_are_those_that_peft_saves(tmp_path: Path, name: str) -> None:
    base: BaseModel = open_base(folders(tmp_path)[name]())
    lora = LoraConfig(rank=3)
    model = add_adapter(base.load(torch.float32), base.targets, lora, base_name="x", seed=1)
    write_adapter(model, tmp_path)
    header = read_header(tmp_path / ADAPTER_FILE, "")
    wanted = adapter_tensors(base.shape, lora)
    assert {key: stored.shape for key, stored in header.items()} == wanted
    for target in lora.targets:
        some = adapter_tensors(base.shape, LoraConfig(rank=3, targets=(target,)))
        assert some.items() <= wanted.items()
        assert sum(a * b for a, b in some.values()) == base.shape.lora_parameters(3, [target])


State = dict[str, torch.Tensor]
NAME = "base_model.model.slow.layers.1.mlp.up_proj.lora_A.weight"


def rename(state: State) -> None:
    state[NAME.replace("slow", "fast_of_another")] = state.pop(NAME)


def swap(state: State) -> None:
    """The count of the parameters stays as it was."""
    b = NAME.replace("lora_A", "lora_B")
    state[NAME], state[b] = state[b].T.contiguous(), state[NAME].T.contiguous()


def spoil(state: State, value: float, dtype: torch.dtype) -> None:
    state[NAME] = state[NAME].to(dtype)
    state[NAME][-1, -1] = value


DAMAGES: dict[str, tuple[Callable[[State], object], str]] = {
    "renamed": (rename, f"1 missing ({NAME}) and 1 unexpected"),
    "missing": (lambda s: s.pop(NAME), f"1 missing ({NAME})"),
    "more": (lambda s: s.update(more=torch.zeros(1)), "1 unexpected (more)"),
    "swapped": (swap, f"{NAME} has shape (4, 160), not (4, 64)"),
    "reshaped": (lambda s: s.update({NAME: s[NAME].reshape(-1)}), f"{NAME} has shape (256,)"),
    "integers": (lambda s: s.update({NAME: s[NAME].to(torch.int8)}), f"{NAME} is stored as I8"),
    "eight bits": (
        lambda s: s.update({NAME: s[NAME].to(torch.float8_e4m3fn)}),
        f"{NAME} is stored as F8_E4M3",
    ),
    **{
        f"{value} in {dtype}": (partial(spoil, value=value, dtype=dtype), f"not finite in {NAME}")
        for value in (float("nan"), float("inf"), -float("inf"))
        for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16)
    },
}


@pytest.mark.parametrize("name", DAMAGES)
def test_other_tensors_are_refused(adapter: Path, name: str) -> None:
    damage, said = DAMAGES[name]
    state = load_file(adapter / ADAPTER_FILE)
    damage(state)
    save_file(state, adapter / ADAPTER_FILE)
    assert said in refused(adapter)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "bfloat16"])
def test_large_and_small_numbers_of_each_type_pass(adapter: Path, dtype: str) -> None:
    kind: torch.dtype = getattr(torch, dtype)
    state = {name: one.to(kind) for name, one in load_file(adapter / ADAPTER_FILE).items()}
    limits = torch.finfo(kind)
    state[NAME][0, :4] = torch.tensor(
        [limits.max, limits.min, limits.smallest_normal, -0.0], dtype=kind
    )
    save_file(state, adapter / ADAPTER_FILE)
    assert len(EXPONENTS) == 4
    check_initial_adapter(adapter, open_base(TINY).shape, LORA)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({}, None),  # of another program
        ({PROMPT: "fish-s1"}, None),
        ({PROMPT: "fish-1.5"}, "was trained with the prompt fish-1.5, but the run trains with"),
        ({BASE_DIGEST: "0"}, "was trained with the prompt fish-joined"),  # before it was recorded
    ],
)
def test_an_adapter_of_another_prompt_is_told(
    tmp_path: Path, said: dict[str, str], sentence: str | None
) -> None:
    save_file({"w": torch.zeros(1)}, tmp_path / ADAPTER_FILE, metadata=said)
    told = of_other_prompt(tmp_path, FISH_S1, PROMPTS)
    assert (sentence or "") in (told or "")
    assert (told is None) == (sentence is None)
