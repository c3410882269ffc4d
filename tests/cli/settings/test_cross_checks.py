"""Settings that make no sense together: each row of the table, on both sides of its border."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli_project import write_project
from command_line import invoke
from fintts_cli.errors import UsageProblem
from fintts_cli.settings.cross_checks import RULES, refuse_senseless
from fintts_cli.settings.facts import Facts
from fintts_cli.settings.model import Settings
from fintts_cli.settings.read import read_settings

Options = dict[str, object]

BY_EAR: Options = {"early_stopping.monitor": "eval/cer", "eval.asr": "a"}
CASES: list[tuple[str, Options, Options]] = [
    (
        "a long warm-up that outlasts the run",
        {"training.warmup_steps": 50, "training.max_steps": 50},
        {"training.warmup_steps": 49, "training.max_steps": 50},
    ),
    (
        "a long warm-up that outlasts the run",
        {"training.warmup_steps": 11, "training.max_steps": 5},
        {"training.warmup_steps": 10, "training.max_steps": 5},
    ),
    ("a trial that is all warm-up", {"training.max_steps": 10}, {"training.max_steps": 11}),
    ("nothing moves", {"training.learning_rate": 3e-10}, {"training.learning_rate": 4e-10}),
    ("an absurd learning rate", {"training.learning_rate": 1}, {"training.learning_rate": 0.99}),
    ("a high learning rate", {"training.learning_rate": 0.1}, {"training.learning_rate": 0.09}),
    ("clipped to nothing", {"training.max_grad_norm": 9e-8}, {"training.max_grad_norm": 1e-7}),
    (
        "no gain can count",
        {"early_stopping.min_delta": 20},
        {"early_stopping.min_delta": 20, "early_stopping.enabled": False},
    ),
    (
        "no gain can count",
        {
            "early_stopping.min_delta": 1,
            "early_stopping.monitor": "val/top5_accuracy",
            "early_stopping.mode": "max",
        },
        {"early_stopping.min_delta": 1},
    ),
    (
        "a monitor without its model",
        {"early_stopping.monitor": "eval/cer", "eval.dnsmos": "a.onnx", "samples.held_out": 1},
        {"early_stopping.monitor": "eval/cer", "eval.asr": "a", "samples.held_out": 1},
    ),
    (
        "a monitor without its model",
        {"early_stopping.monitor": "eval/cer", "eval.asr": "a"},
        {"eval.asr": "a"},
    ),
    (
        "a monitor without a value at each check",
        {"samples.every": 2, "samples.held_out": 1, **BY_EAR},
        {"samples.every": 1, "samples.held_out": 1, **BY_EAR},
    ),
    (
        "a sample that is too long to measure",
        {"samples.max_seconds": 30.1, "samples.held_out": 1, "eval.asr": "a"},
        {"samples.max_seconds": 30, "samples.held_out": 1, "eval.asr": "a"},
    ),
    (
        "a model that measures nothing",
        {"eval.asr": "a"},
        {"eval.asr": "a", "samples.texts": ["Hei"]},
    ),
    ("no check", {"validation.every": 3001}, {"validation.every": 3000}),
    (
        "early stopping that cannot fire",
        {"early_stopping.patience": 29},
        {"early_stopping.patience": 28},
    ),
    (
        "early stopping that cannot fire",
        {"early_stopping.patience": 29},
        {"early_stopping.patience": 29, "early_stopping.enabled": False},
    ),
    (
        "early stopping within the warm-up",
        {"training.warmup_steps": 600},
        {"training.warmup_steps": 599},
    ),
    ("one checkpoint, at the end", {"checkpoints.every": 3001}, {"checkpoints.every": 3000}),
    (
        "the best is rotated away",
        {"checkpoints.keep_best": False},
        {"checkpoints.keep_best": False, "checkpoints.keep_last": 6},
    ),
    ("more held out than trained on", {"validation.fraction": 0.51}, {"validation.fraction": 0.5}),
    (
        "the same data for ever",
        {"training.max_steps": 13_000, "early_stopping.enabled": False},
        {"early_stopping.enabled": False, "training.max_steps": 12_000},
    ),
    (
        "the same data for ever",
        {"training.max_steps": 13_000, "early_stopping.patience": 1000},
        {"training.max_steps": 13_000},
    ),
    ("a dropout that leaves nothing", {"lora.dropout": 0.9}, {"lora.dropout": 0.89}),
    ("a huge scale", {"lora.alpha": 801}, {"lora.alpha": 800}),
    ("a rank above the model's width", {"lora.rank": 65}, {"lora.rank": 64}),
    ("spot on this machine", {"spot": True, "infra": "local"}, {"spot": True, "infra": "aws"}),
    ("an image on this machine", {"image": "docker:a", "infra": "local"}, {"image": "docker:a"}),
    (
        "a budget where nothing costs",
        {"budget_usd": 5, "hourly_rate_usd": 0},
        {"budget_usd": 5, "hourly_rate_usd": 1},
    ),
]


def held(options: Options) -> dict[str, bool]:
    """The rules that hold for these settings, of a hundred utterances and a width of 64."""
    found = read_settings(options, environment={})
    facts = Facts(found.settings, samples=100, width=64)
    return {rule.name: rule.refuses for rule in RULES if rule.holds(facts)}


@pytest.mark.parametrize(("name", "senseless", "sensible"), CASES)
def test_a_rule_holds_up_to_its_border(name: str, senseless: Options, sensible: Options) -> None:
    assert name in held(senseless)
    assert name not in held(sensible)


@pytest.mark.parametrize(("name", "senseless", "_"), CASES)
def test_what_is_said_has_the_numbers_and_a_mend(name: str, senseless: Options, _: Options) -> None:
    found = read_settings(senseless, environment={})
    facts = Facts(found.settings, samples=100, width=64)
    rule = next(each for each in RULES if each.name == name)
    if rule.refuses:
        with pytest.raises(UsageProblem) as caught:
            refuse_senseless(facts)
        said = [f"{caught.value.message}; {caught.value.hint}"]
    else:
        said = list(refuse_senseless(facts))
    key = next(iter(senseless)).rpartition(".")[2]
    assert any(key in each and rule.hint in each for each in said)
    assert not any("{" in each or "}" in each for each in said)


def test_every_rule_has_a_case() -> None:
    assert {case[0] for case in CASES} == {rule.name for rule in RULES}
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_the_defaults_make_sense() -> None:
    assert refuse_senseless(Facts(Settings(), samples=2000, width=1024)) == ()


SENSELESS = {"FINTTS_TRAINING__WARMUP_STEPS": "400"}
ODD = {"FINTTS_VALIDATION__EVERY": "500"}


@pytest.mark.parametrize(
    "command",
    ["estimate", "cloud launch --yes", "cloud launch --dry-run", "train", "doctor --config"],
)
def test_every_command_before_the_money_refuses(own_folder: Path, command: str) -> None:
    write_project(own_folder)
    done = invoke(command.split(), env=SENSELESS)
    assert done.exit_code == 2, done.output
    assert "training.warmup_steps is 400 and training.max_steps 400" in done.stderr
    assert "hint: set training.warmup_steps" in done.stderr
    assert not (own_folder / "store").exists()


@pytest.mark.parametrize("command", ["estimate", "cloud launch --dry-run", "doctor --config"])
def test_what_is_only_odd_is_a_warning(own_folder: Path, command: str) -> None:
    write_project(own_folder)
    done = invoke(command.split(), env=ODD)
    assert done.exit_code == 0, done.output
    assert "warning: validation.every is 500 and training.max_steps 400" in done.stderr
