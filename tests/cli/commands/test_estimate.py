"""`fintts estimate`: the contract's document, where figures come from, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from checks import every
from command_line import invoke
from fintts_cli.prices import snapshot

KALEVALA = Path(__file__).parents[3] / "examples" / "kalevala" / "data"
TINY_MODEL = {
    "model_type": "dual_ar",
    "vocab_size": 1000,
    "n_layer": 2,
    "n_head": 2,
    "dim": 64,
    "intermediate_size": 128,
    "codebook_size": 512,
    "num_codebooks": 4,
    "n_fast_layer": 1,
}


def estimate(*arguments: str) -> Result:
    return invoke(["estimate", *arguments])


def document(*arguments: str) -> dict[str, Any]:
    result = estimate(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    content: dict[str, Any] = json.loads(result.stdout)
    return content


@pytest.fixture
def base_model(own_folder: Path) -> Path:
    folder = own_folder / "model"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(TINY_MODEL))
    return folder


def test_the_reference_run_gives_the_contracts_document() -> None:
    content = document("--reference-run")
    expected = {
        "steps_per_epoch": 250,
        "epochs": 11.2,
        "samples_seen": 22400,
        "validation_checks": 28,
        "setup_seconds": 0.0,
        "training_seconds": 15120.0,
        "validation_seconds": 840.0,
        "checkpoint_seconds": 0.0,
        "teardown_seconds": 0.0,
        "total_seconds": 15960.0,
        "hourly_rate_usd": 1.2,
        "price": {"source": "option", "as_of": None},
        "cost_usd": 5.32,
        "cost_per_unique_sample_usd": 0.00266,
        "cost_per_sample_seen_usd": 0.0002375,
    }
    assert {key: content[key] for key in expected} == expected
    assert content["samples_per_second"] == pytest.approx(1.4815, abs=5e-5)
    checkpoints = content["checkpoints"]
    assert (checkpoints["written"], checkpoints["removed"]) == (28, 23)
    assert checkpoints["kept_steps"] == [2400, 2500, 2600, 2700, 2800]
    assert checkpoints["bytes_each"] == 47000000
    assert checkpoints["bytes_at_end"] == 235000000
    assert checkpoints["bytes_at_peak"] == 282000000
    stopping = content["early_stopping"]
    assert (stopping["saved_steps"], stopping["saved_seconds"], stopping["saved_usd"]) == (
        200,
        1140.0,
        0.38,
    )
    assert set(content["scenarios"]) == {"earliest", "expected", "worst"}
    assert content["scenarios"]["expected"] == {
        "stop_step": 2800,
        "total_seconds": 15960.0,
        "cost_usd": 5.32,
    }


def test_the_reference_run_needs_no_configuration_and_obeys_options(own_folder: Path) -> None:
    (own_folder / "fintts.yaml").write_text("this is: not valid\n")
    assert document("--reference-run", "--hourly-rate", "2.40")["cost_usd"] == 10.64
    assert "$5.32" in estimate("--reference-run").stdout


def test_options_alone_give_a_bill() -> None:
    content = document(
        "--samples", "2000", "--batch-size", "8", "--gradient-accumulation", "1",
        "--max-steps", "3000", "--steps", "2800", "--seconds-per-step", "5.4",
        "--validation-every", "100", "--seconds-per-validation", "30",
        "--checkpoint-every", "100", "--checkpoint-bytes", "47000000", "--keep-last", "5",
        "--patience", "5", "--hourly-rate", "1.20", "--setup-seconds", "0",
        "--teardown-seconds", "0",
    )  # fmt: skip
    reference = document("--reference-run")
    for key in ("cost_usd", "epochs", "checkpoints", "scenarios", "samples_seen"):
        assert content[key] == reference[key]


def test_the_configured_run_counts_its_data_and_says_so(own_folder: Path, base_model: Path) -> None:
    (own_folder / "fintts.yaml").write_text(
        f"data: {KALEVALA}\nbase_model: {base_model}\nhourly_rate_usd: 1.50\n"
    )
    content = document()
    # 160 utterances, of which the hash of their names holds out some.
    assert 130 <= content["steps_per_epoch"] * 8 <= 160
    assert content["price"]["source"] == "fintts.yaml:3"
    assert "27% of the peak of A100-80GB:1" in content["seconds_per_step"]["source"]
    assert content["pace"]["kind"] == "forecast"
    for found in (content["expected"]["cost_usd"], content["pace"]["seconds_per_token"]):
        assert 0 < found["low"] < found["likely"] < found["high"]
    assert content["setup_seconds"] == 600.0
    text = estimate().stdout
    assert "utterances to train on, and holds out" in " ".join(text.split())


def test_a_step_that_was_set_is_named_by_where_it_was_set(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINTTS_FORECAST__SECONDS_PER_STEP", "2.5")
    content = document("--samples", "100", "--hourly-rate", "1")
    assert content["seconds_per_step"] == {
        "value": 2.5,
        "source": "FINTTS_FORECAST__SECONDS_PER_STEP",
    }


def test_without_a_rate_the_cheapest_offer_of_the_price_list_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = ("--samples", "2000", "--seconds-per-step", "1")
    priced = document(*usual)
    assert priced["price"]["as_of"] == "2026-11-24"
    machine = "shadeform massedcompute_A100-80GB on-demand, snapshot "
    assert priced["price"]["source"].startswith(machine)
    assert priced["hourly_rate_usd"] == 1.35
    assert priced["cost_usd"] == document(*usual, "--hourly-rate", "1.35")["cost_usd"]
    assert document(*usual, "--infra", "aws", "--gpus", "H100")["hourly_rate_usd"] == 6.88
    monkeypatch.setenv("FINTTS_SPOT", "true")
    assert document(*usual, "--gpus", "H100", "--infra", "nebius")["hourly_rate_usd"] == 1.25
    text = " ".join(estimate(*usual).stdout.split())
    assert "an hour, from: gcp a2-ultragpu-1g spot, snapshot v8/gcp/vms.csv@" in text
    assert "as of 2026-11-24" in text
    assert every(len(line) <= 78 for line in estimate(*usual).stdout.splitlines())


def test_a_rate_that_is_given_wins_over_every_offer() -> None:
    content = document("--samples", "9", "--seconds-per-step", "1", "--hourly-rate", "7")
    assert (content["hourly_rate_usd"], content["price"]) == (
        7,
        {"source": "option", "as_of": None},
    )


def test_without_a_rate_and_without_an_offer_the_cloud_is_what_is_missing() -> None:
    usual = ("--samples", "9", "--seconds-per-step", "1")
    nowhere = estimate(*usual, "--gpus", "RTX3090")
    assert (nowhere.exit_code, nowhere.stdout) == (4, "")
    assert "the list has no prices of RTX3090" in nowhere.stderr
    assert "--hourly-rate" in nowhere.stderr
    named = estimate(*usual, "--gpus", "B200")
    assert named.exit_code == 4
    assert "no-autodown" in named.stderr
    assert "--infra verda rents it" in named.stderr
    assert estimate(*usual, "--gpus", "B200", "--infra", "verda").exit_code == 0
    doubtful = estimate(*usual, "--infra", "hyperstack")
    assert doubtful.exit_code == 4
    assert "no on-demand offer for A100-80GB:1 on hyperstack can be taken" in doubtful.stderr
    assert "not-rentable" in doubtful.stderr


def test_faster_accelerators_make_shorter_steps(own_folder: Path, base_model: Path) -> None:
    large = TINY_MODEL | {"dim": 2048, "intermediate_size": 8192, "n_head": 16}
    (base_model / "config.json").write_text(json.dumps(large))
    (own_folder / "fintts.yaml").write_text(f"base_model: {base_model}\nhourly_rate_usd: 1\n")
    seconds = [
        document("--samples", "100", "--gpus", name)["seconds_per_step"]["value"]
        for name in ("L4", "A100-80GB", "H100-SXM")
    ]
    assert seconds == sorted(seconds, reverse=True)
    assert seconds[0] > seconds[2]


@pytest.mark.parametrize(
    ("arguments", "sentence", "hint"),
    [
        (["--samples", "0"], "--samples must be at least 1", ""),
        (["--samples", "-3"], "--samples must be at least 1", ""),
        (["--patience", "0"], "early_stopping.patience", ""),
        (["--samples", "7", "--batch-size", "8"], "more than the 7", ""),
        (["--batch-size", "-1"], "training.batch_size", ""),
        (["--hourly-rate", "-1"], "not an amount in dollars", ""),
        (["--hourly-rate", "-inf"], "not an amount in dollars", ""),
        (["--hourly-rate", "1e-30"], "0 or at least 0.0001", ""),
        (["--hourly-rate", "1e-9", "--budget", "1000000"], "0 or at least 0.0001", ""),
        (["--hourly-rate", "1e30"], "hourly_rate_usd", ""),
        (["--budget", "nan"], "not an amount in dollars", ""),
        (["--budget", "snan"], "not an amount in dollars", ""),
        (["--budget", "-inf"], "not an amount in dollars", ""),
        (["--budget", "1e40"], "budget_usd", ""),
        (["--hourly-rate", "cheap"], "not an amount in dollars", ""),
        (["--hourly-rate", "nan"], "not an amount in dollars", ""),
        (["--seconds-per-step", "nan"], "--seconds-per-step", ""),
        (["--seconds-per-step", "0"], "forecast.seconds_per_step", ""),
        (["--steps", "3001"], "beyond training.max_steps (", ""),
        (["--gpus", "A100-90GB"], "A100-90GB", "A100-80GB"),
        (["--gpus", "A100-80GB:0"], "number of GPUs", ""),
        (["--config", "nowhere.yaml"], "the configuration file", "fintts init"),
        (["--budget", "0"], "budget_usd", ""),
    ],
)
def test_a_number_that_cannot_be_is_a_sentence_and_exit_2(
    arguments: list[str], sentence: str, hint: str
) -> None:
    # Of an option that is given twice the last one counts.
    usual = ["--samples", "100", "--seconds-per-step", "1", "--hourly-rate", "1"]
    refused(estimate(*usual, *arguments), sentence, hint)


@pytest.mark.parametrize(
    ("arguments", "sentence", "hint"),
    [
        ([], "there is no data folder and no number of samples", "fintts init"),
        (["--samples", "9", "--infra", "local"], "on this machine", "fintts estimate"),
        (
            ["--samples", "9", "--measure", "--infra", "aws"],
            "--measure times steps",
            "leave --measure out",
        ),
        (["--samples", "9", "--hourly-rate", "1"], "time of a step", "--seconds-per-step"),
        (["--reference-run", "--samples", "0"], "--samples must be at least 1", ""),
        (["--reference-run", "--patience", "0"], "patience", ""),
    ],
)
def test_what_is_missing_is_a_sentence_and_exit_2(
    arguments: list[str], sentence: str, hint: str
) -> None:
    refused(estimate(*arguments), sentence, hint)


def refused(result: Result, sentence: str, hint: str, code: int = 2) -> None:
    assert result.exit_code == code, result.output
    assert sentence in result.stderr
    assert hint in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_local_run_does_not_guess_how_fast_this_machine_is(base_model: Path) -> None:
    result = estimate("--samples", "9", "--infra", "local", "--hourly-rate", "1")
    assert result.exit_code == 2
    assert "on this machine" in result.stderr


def test_over_budget_shows_the_bill_and_exits_3() -> None:
    result = estimate("--reference-run", "--budget", "5.00")
    assert result.exit_code == 3
    assert "$5.32" in result.stdout
    assert "expected to cost $5.32, more than the budget of $5.00" in result.stderr
    assert "training.max_steps and forecast.stop_step to 2" in result.stderr
    assert estimate("--reference-run", "--budget", "5.32").exit_code == 0


def test_an_error_with_json_is_json_on_stderr_and_nothing_on_stdout() -> None:
    result = estimate("--samples", "0", "--seconds-per-step", "1", "--hourly-rate", "1", "--json")
    assert result.stdout == ""
    content = json.loads(result.stderr)
    assert content["exit_code"] == 2
    assert "--samples" in content["error"]


def test_a_data_folder_that_is_empty_or_missing_is_named(own_folder: Path) -> None:
    (own_folder / "empty").mkdir()
    (own_folder / "fintts.yaml").write_text("data: empty\n")
    result = estimate("--seconds-per-step", "1", "--hourly-rate", "1")
    assert result.exit_code == 1
    assert "has no pairs" in result.stderr
    (own_folder / "fintts.yaml").write_text("data: missing\n")
    result = estimate("--seconds-per-step", "1", "--hourly-rate", "1")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


@pytest.mark.parametrize("option", ["--budget", "--hourly-rate"])
@pytest.mark.parametrize("amount", ["nan", "-inf", "inf", "-1", "1e-30 "])
def test_the_reference_run_refuses_an_amount_that_is_none(option: str, amount: str) -> None:
    done = estimate("--reference-run", option, amount)
    if (option, amount) == ("--budget", "1e-30 "):  # a small budget is one
        assert done.exit_code == 3
        return
    assert done.exit_code == 2
    assert "Traceback" not in done.stderr


def test_minus_nothing_is_nothing() -> None:
    done = estimate("--reference-run", "--hourly-rate", "-0.0")
    assert done.exit_code == 0, done.stderr
    assert "$0.00" in done.stdout
    assert "-0.0" not in done.stdout
    assert "$-" not in done.stdout


def test_the_document_has_what_the_text_has() -> None:
    content = document("--reference-run")
    assert content["samples"] == 2000
    assert content["batch_size"] == 8
    assert content["gradient_accumulation"] == 1
    assert content["max_steps"] == 3000
    assert content["gpus"] == "A100-80GB:1"
    text = " ".join(estimate("--reference-run").stdout.split())
    assert len(content["notes"]) > 3
    assert every(" ".join(note.split()) in text for note in content["notes"])
    (choice,) = content["choices"]
    assert choice["cost_usd"] == content["cost_usd"] == 5.32


def test_the_document_has_each_of_several_gpus(own_folder: Path, base_model: Path) -> None:
    (own_folder / "fintts.yaml").write_text(f"base_model: {base_model}\n")
    content = document("--samples", "100", "--gpus", "A100-80GB,H100", "--infra", "gcp")
    assert content["choices"][0]["gpus"] == content["gpus"]
    assert {each["gpus"] for each in content["choices"]} == {"A100-80GB:1", "H100:1"}
    costs = [each["total_seconds"] * each["hourly_rate_usd"] for each in content["choices"]]
    assert costs == sorted(costs)


def test_a_reference_run_with_other_figures_is_not_called_measured() -> None:
    text = estimate("--reference-run", "--steps", "1000", "--batch-size", "4").stdout
    assert "as it was measured" not in text
    assert "The reference run, with --batch-size 4, --steps 1000" in text
    assert "as it was measured" in estimate("--reference-run", "--budget", "10").stdout


@pytest.mark.parametrize("steps", ["1", "100", "599", "600", "2800"])
def test_the_earliest_end_is_not_above_the_expected_one(steps: str) -> None:
    scenarios = document("--reference-run", "--steps", steps)["scenarios"]
    order = [scenarios[name] for name in ("earliest", "expected", "worst")]
    assert [each["stop_step"] for each in order] == sorted(each["stop_step"] for each in order)
    assert [each["cost_usd"] for each in order] == sorted(each["cost_usd"] for each in order)


def test_a_gpu_without_prices_is_called_that(own_folder: Path) -> None:
    words = ["--samples", "9", "--seconds-per-step", "1", "--gpus", "RTX3090"]
    refused(estimate(*words), "the list has no prices of RTX3090", "--hourly-rate", code=4)


def test_a_machine_that_the_cloud_does_not_sell_is_not_billed_without_a_word() -> None:
    """AWS sells eight A100 of 80 GB together, and no single one."""
    words = ["--samples", "9", "--seconds-per-step", "1", "--hourly-rate", "1.2"]
    billed = estimate(*words, "--infra", "aws", "--gpus", "A100-80GB")
    assert "the price list knows no single A100-80GB on aws: `fintts cloud offers`" in billed.stderr
    eight = estimate(*words, "--infra", "lambda", "--gpus", "A100-80GB")
    assert "no single A100-80GB on lambda, only 8 together" in eight.stderr
    sold = estimate(*words, "--infra", "aws", "--gpus", "A10G")
    assert "price list knows no" not in sold.stderr
    refused(
        estimate(*words[:-2], "--infra", "aws", "--gpus", "A100-80GB"), "on aws", "--infra", code=4
    )


def test_an_old_price_list_is_said(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = snapshot.read_snapshot()
    monkeypatch.setattr(
        snapshot, "read_snapshot", lambda: [row._replace(as_of="2020-01-31") for row in old]
    )
    words = ["--samples", "9", "--seconds-per-step", "1", "--gpus", "H100", "--infra", "aws"]
    done = estimate(*words)
    assert done.exit_code == 0, done.stderr
    assert "the price is from a list of 2020-01-31" in done.stderr


def test_what_a_run_costs_besides_its_gpu_is_shown(own_folder: Path, base_model: Path) -> None:
    (own_folder / "fintts.yaml").write_text(f"base_model: {base_model}\n")
    words = ["--samples", "2000", "--infra", "runpod"]
    content = document(*words)
    items = {each["name"]: each for each in content["extras"]["items"]}
    assert set(items) == {"disk", "inputs", "storage", "pull"}
    assert every(each["source"] and each["as_of"] for each in items.values())
    total = content["cost_usd"] + content["extras"]["usd"]
    assert content["cost_with_extras_usd"] == pytest.approx(total, abs=0.011)  # each is rounded
    text = " ".join(estimate(*words, "--explain").stdout.split())
    assert "Costs besides the GPU" in text
    assert "100 GB for" in text
    assert "as of 2026" in text
    assert "not counted: VAT" in text
    short = estimate(*words).stdout
    assert "not counted: VAT" in " ".join(short.split())
    assert len(short.splitlines()) <= 24
    assert every(len(line) <= 78 for line in short.splitlines())


def test_a_run_on_this_machine_has_no_extras(own_folder: Path) -> None:
    words = ["--samples", "9", "--seconds-per-step", "1", "--hourly-rate", "1", "--infra", "local"]
    assert document(*words)["extras"]["items"] == []
    assert "extras  " not in estimate(*words).stdout


def test_spot_and_on_demand_are_compared_by_expected_cost() -> None:
    words = ["--samples", "2000", "--seconds-per-step", "1", "--infra", "gcp"]
    content = document(*words)
    other = content["other_kind"]
    assert (content["spot"], other["spot"]) == (False, True)
    assert other["expected"]["preemptions"]["likely"] > 0
    assert other["expected"]["cost_usd"]["likely"] < content["expected"]["cost_usd"]["likely"]
    assert "on spot: " in estimate(*words).stdout
    assert document(*words, "--hourly-rate", "1")["other_kind"] is None
