"""The configuration's defaults are the reference run's, and the shape counts as it is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from fintts_inputs.base_model.families import parse_shape, read_shape
from fintts_inputs.config import LoraConfig, RunConfig
from fintts_inputs.errors import BaseModelProblem
from released_shapes import S1_MINI


def config(**sections: object) -> RunConfig:
    return RunConfig.model_validate({"data": "data", "base_model": "base", **sections})


def test_defaults_are_the_reference_run_s() -> None:
    run = config()
    assert (run.training.batch_size, run.training.max_steps) == (8, 3000)
    assert (run.validation.every, run.validation.fraction) == (100, 0.1)
    assert (run.checkpoints.every, run.checkpoints.keep_last) == (100, 5)
    assert (run.early_stopping.patience, run.early_stopping.mode) == (5, "min")
    assert (run.lora.rank, run.lora.alpha, run.lora.dropout) == (8, 16, 0)
    # A training loss cannot see overfitting: the one default that differs.
    assert run.early_stopping.monitor == "val/loss"


@pytest.mark.parametrize(
    "sections",
    [
        {"trainning": {}},
        {"training": {"batchsize": 8}},
        {"training": {"batch_size": 0}},
        {"training": {"learning_rate": float("nan")}},
        {"training": {"max_steps": -1}},
        {"early_stopping": {"patience": 0}},
        {"early_stopping": {"mode": "max"}},
        {"early_stopping": {"monitor": "val/top5_accuracy"}},
        {"validation": {"fraction": 0}},
        {"validation": {"fraction": 1}},
        {"lora": {"targets": []}},
        {"lora": {"targets": ["attention", "attention"]}},
        {"checkpoints": {"keep_last": 0}},
    ],
)
def test_unknown_keys_and_absurd_values_are_refused(sections: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        config(**sections)


def test_the_digest_is_of_what_the_result_depends_on() -> None:
    run = config()
    moved = RunConfig.model_validate({"data": "elsewhere", "base_model": "b"})
    other = config(training={"batch_size": 4}, lora={"rank": 16})
    assert run.digest() == moved.digest() != other.digest()
    changes = [str(change) for change in run.differences(other)]
    assert changes == ["lora.rank: 8 → 16", "training.batch_size: 8 → 4"]
    assert run.differences(moved) == []
    assert RunConfig.model_validate_json(run.model_dump_json()) == run


def test_s1_mini_has_the_known_counts() -> None:
    shape = parse_shape(S1_MINI)
    assert shape.parameters == 860_169_216
    assert shape.lora_parameters(8, LoraConfig().targets) == 8_595_456
    assert shape.lora_parameters(8, ("attention", "mlp", "heads")) == 6_964_224
    assert shape.fused_lora_parameters(8, LoraConfig().targets) == 8_071_168
    assert shape.fused_lora_parameters(8, ("mlp",)) == shape.lora_parameters(8, ("mlp",))
    assert 8 * shape.training_flops(100, 300) == pytest.approx(13.0e12, rel=0.02)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "llama"}, "model_type"),
        ({"attention_qkv_bias": True}, "biases"),
        ({"n_layer": "many"}, "n_layer"),
        ({"dim": 0}, "dim"),
    ],
)
def test_another_kind_of_model_is_refused(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**S1_MINI, **change}))
    with pytest.raises(BaseModelProblem, match=said):
        read_shape(tmp_path)


def test_a_run_of_a_version_that_compiled_nothing_by_itself_goes_on_without_force() -> None:
    run = RunConfig.model_validate({"data": "d", "base_model": "m"})
    recorded = run.model_dump(mode="json")
    recorded["training"]["compile"] = False
    earlier = RunConfig.model_validate(recorded)
    assert run.training.compile == "auto"
    assert run.differences(earlier) == []
    assert run.digest() == earlier.digest()
    recorded["training"]["compile"] = True
    chosen = RunConfig.model_validate(recorded)
    assert [str(change) for change in run.differences(chosen)] == ["training.compile: False → True"]


def test_when_to_give_up_is_no_part_of_the_digest_and_may_change() -> None:
    """Checkpoints of versions without `replan` keep their digest."""
    base = {"data": "d", "base_model": "m"}
    before = RunConfig.model_validate(base)
    after = RunConfig.model_validate({**base, "replan": {"on_overrun": "stop"}})
    assert before.digest() == after.digest()
    (change,) = before.differences(after)
    assert (change.key, change.is_forcible) == ("replan.on_overrun", True)


BY_EAR = {"early_stopping": {"monitor": "eval/cer"}, "eval": {"asr": "asr"}}


def spoken(**sections: object) -> RunConfig:
    content = {"data": "data", "base_model": "base", "samples": {"texts": ["Hei"]}, **sections}
    return RunConfig.model_validate(content)


def test_sentences_belong_to_what_early_stopping_watches() -> None:
    others = {"samples": {"texts": ["Moi"]}}
    by_loss, by_ear = spoken(), spoken(**BY_EAR)
    assert by_loss.digest() == spoken(**others).digest()
    assert by_ear.digest() != spoken(**BY_EAR, **others).digest()
    assert [one.is_forcible for one in by_loss.differences(spoken(**others))] == [True]
    assert [one.is_forcible for one in by_ear.differences(spoken(**BY_EAR, **others))] == [False]


def test_the_place_of_a_model_that_measures_does_not_matter() -> None:
    moved = spoken(**BY_EAR | {"eval": {"asr": "elsewhere"}})
    assert spoken(**BY_EAR).digest() == moved.digest()
    assert spoken(**BY_EAR).differences(moved) == []
    swedish = spoken(**BY_EAR | {"eval": {"asr": "asr", "language": "sv"}})
    assert spoken(**BY_EAR).digest() != swedish.digest()


@pytest.mark.parametrize(
    ("monitor", "mode"), [("eval/cer", "max"), ("eval/similarity", "min"), ("eval/dnsmos", "min")]
)
def test_each_measure_has_its_mode(monitor: str, mode: str) -> None:
    with pytest.raises(ValidationError, match="is monitored with mode"):
        spoken(early_stopping={"monitor": monitor, "mode": mode})
