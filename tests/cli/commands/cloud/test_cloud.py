"""The commands below `fintts cloud` without a trainer: what they read, say and refuse."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from cli_project import write_project
from command_line import invoke
from fintts_cli.checkpoints import pull
from fintts_cli.commands.opening import open_workplace
from fintts_cli.estimate.run import terms_here
from fintts_cli.estimate.run_inputs import RunInputs
from fintts_cli.launch.record import existing_run
from fintts_cli.settings.read import read_settings
from fintts_cost.prices.clouds import CLOUDS
from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.manifest import Manifest
from fintts_store.checkpoints.removal import remove_checkpoint
from fintts_store.checkpoints.restore import restore
from fintts_store.runs.claims import take_claim
from fintts_store.runs.end_run import end_run
from fintts_store.runs.records import Phase, StopReason
from fintts_store.runs.runs import (
    create_run,
    read_result,
    stop_requested,
    write_status,
)
from fintts_store.store import Store
from run_samples import DIGEST, record, result, status
from tiny_run import TINY

NOW = datetime.now(UTC)


def cloud(*arguments: str) -> Result:
    return invoke(["cloud", *arguments])


@pytest.fixture
def project(own_folder: Path) -> Path:
    return write_project(own_folder)


def commit(
    store: DirectoryStore, project: Path, claim: int, step: int, value: float | None
) -> None:
    folder = project / f"saved-{step}"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(bytes([step % 251]) * step)
    (folder / "adapter_config.json").write_text("{}")
    facts = CheckpointFacts(
        step=step,
        config_digest="c",
        base_model_digest=DIGEST,
        monitor="val/loss",
        mode="min",
        value=value,
    )
    Committer(store, "newest", claim, keep_last=5, keep_best=True).commit(folder, facts)


@pytest.fixture
def store(project: Path) -> DirectoryStore:
    """A run that stopped early, with three checkpoints, and an older one without a heartbeat."""
    store = DirectoryStore(project / "store")
    create_run(store, record(run="older", created_at=NOW - timedelta(days=1)))
    create_run(store, record(run="newest", created_at=NOW - timedelta(hours=1)))
    write_status(store, status(run="newest", phase=Phase.DONE))
    end_run(store, result(run="newest", ended_at=NOW))
    claim = take_claim(store, "newest", "test")
    for step, value in ((100, 5.0), (200, 4.0), (300, None)):
        commit(store, project, claim, step, value)
    return store


def steps(result: Result) -> list[int]:
    assert result.exit_code == 0, result.output
    return [checkpoint["step"] for checkpoint in json.loads(result.stdout)["checkpoints"]]


# --- which run ----------------------------------------------------------------------------------


def test_the_newest_run_is_meant_when_none_is_named(store: DirectoryStore) -> None:
    assert json.loads(cloud("report", "--json").stdout)["run"] == "newest"


@pytest.mark.parametrize("command", ["watch", "logs", "stop", "down", "pull-checkpoints", "report"])
def test_a_run_that_is_not_there_is_refused_with_a_suggestion(
    store: DirectoryStore, command: str
) -> None:
    refused = cloud(command, "newets")
    assert refused.exit_code == 2
    assert "there is no run newets" in refused.stderr
    assert "did you mean newest?" in refused.stderr
    assert refused.stdout == ""


@pytest.mark.parametrize("command", ["watch", "logs", "stop", "down", "pull-checkpoints", "report"])
def test_a_name_that_no_run_can_have_is_a_slip_in_the_default_store_too(
    own_folder: Path, command: str
) -> None:
    create_run(DirectoryStore(own_folder.parent / "state/store"), record(run="one"))
    refused = invoke(["cloud", command, "One"])
    assert refused.exit_code == 2, refused.output
    assert "there is no run One" in refused.stderr
    assert "did you mean one?" in refused.stderr


@pytest.mark.parametrize("command", ["watch", "logs", "stop", "down", "report"])
def test_a_store_without_runs_is_said(project: Path, command: str) -> None:
    refused = cloud(command)
    assert refused.exit_code == 2
    assert "has no runs" in refused.stderr
    assert "fintts cloud launch" in refused.stderr


def test_a_store_that_is_no_folder_is_the_stores_error(project: Path) -> None:
    (project / "file").write_text("")
    for arguments in (["ps"], ["launch", "--yes"]):
        refused = cloud(*arguments, "--store", "file/below")
        assert refused.exit_code == 5, refused.output
        assert refused.stderr.splitlines()[-3].startswith("error: ")
    elsewhere = cloud("ps", "--store", "gs://bucket/prefix")
    assert elsewhere.exit_code == 5
    assert "s3://BUCKET/PREFIX or a folder" in elsewhere.stderr


# --- ps, watch, report --------------------------------------------------------------------------


def test_ps_lists_the_newest_first_and_names_what_is_damaged(store: DirectoryStore) -> None:
    store.put("runs/broken/run.json", b"{}")
    listed = cloud("ps", "--json")
    assert listed.exit_code == 0
    assert [run["run"] for run in json.loads(listed.stdout)] == ["newest", "older"]
    assert "runs/broken/run.json cannot be read" in listed.stderr


def test_ps_of_an_empty_store_is_an_empty_list(project: Path) -> None:
    assert json.loads(cloud("ps", "--json").stdout) == []
    assert cloud("ps").stdout == "no runs yet\n"


def test_watching_a_run_that_has_ended_ends_at_once(store: DirectoryStore) -> None:
    watched = cloud("watch", "--json")
    assert watched.exit_code == 0
    assert json.loads(watched.stdout)["stop_reason"] == "early_stopping"
    assert "done (stopped early)" in watched.stderr


def test_a_run_that_failed_ends_watching_with_1(store: DirectoryStore) -> None:
    failed = result(run="older", stop_reason=StopReason.FAILED, message="the GPU fell off")
    end_run(store, failed)
    watched = cloud("watch", "older")
    assert watched.exit_code == 1
    assert "error: the GPU fell off" in watched.stderr
    assert "fintts cloud logs older" in watched.stderr


def test_a_report_reads_the_store_alone(store: DirectoryStore) -> None:
    document = json.loads(cloud("report", "--json").stdout)
    assert document["stop_reason"] == "early_stopping"
    assert [c["step"] for c in document["checkpoints"]] == [200, 300]
    text = cloud("report").stdout
    assert "Checkpoints kept" in text


def test_logs_of_a_run_from_elsewhere_are_the_clouds_error(store: DirectoryStore) -> None:
    refused = cloud("logs")
    assert refused.exit_code == 4
    assert "no instance of run newest" in refused.stderr


# --- pull-checkpoints ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], [100, 200, 300]),
        (["--best"], [200]),
        (["--last"], [300]),
        (["--step", "100"], [100]),
    ],
)
def test_what_is_asked_for_is_pulled(
    store: DirectoryStore, project: Path, options: list[str], expected: list[int]
) -> None:
    pulled = cloud("pull-checkpoints", *options, "--to", "home", "--json")
    assert steps(pulled) == expected
    folders = sorted(path.name for path in (project / "home").iterdir())
    assert folders == sorted(f"checkpoint-{step}" for step in expected)
    for step in expected:
        card = (project / "home" / f"checkpoint-{step}" / "README.md").read_text()
        assert 'library_name: "peft"' in card
        assert f"step {step}" in card
    flags = {
        c["step"]: (c["best"], c["last"], c["verified"])
        for c in json.loads(pulled.stdout)["checkpoints"]
    }
    every = {100: (False, False, True), 200: (True, False, True), 300: (False, True, True)}
    assert flags == {step: every[step] for step in expected}


def test_the_default_folder_is_named_by_the_run_and_peft_is_explained(
    project: Path, store: DirectoryStore
) -> None:
    pulled = cloud("pull-checkpoints")
    assert pulled.stdout.splitlines() == [
        f"checkpoints/newest/checkpoint-{step}" for step in (100, 200, 300)
    ]
    assert "best: step 200, val/loss 4.0000" in pulled.stderr
    path = str(project / "checkpoints/newest/checkpoint-200")
    assert f"PeftModel.from_pretrained(base_model, {path!r})" in pulled.stderr


def test_a_whole_one_is_not_copied_again_and_another_is_not_overwritten(
    store: DirectoryStore, project: Path
) -> None:
    cloud("pull-checkpoints", "--to", "home")
    file = project / "home" / "checkpoint-100" / "adapter_config.json"
    before = file.stat().st_mtime_ns
    again = cloud("pull-checkpoints", "--to", "home")
    assert again.stderr.count("exists already, verified") == 3
    assert file.stat().st_mtime_ns == before
    file.write_text("mine")
    refused = cloud("pull-checkpoints", "--to", "home")
    assert refused.exit_code == 2
    assert "checkpoint-100 exists and is not this run's checkpoint" in refused.stderr
    assert file.read_text() == "mine"


@pytest.fixture
def without_manifest(store: DirectoryStore) -> DirectoryStore:
    """The manifest of step 300 is damaged."""
    (key,) = [e.key for e in store.list(layout.commits_prefix("newest")) if "300" in e.key]
    store.put(key, b"{")
    return store


@pytest.mark.parametrize(
    ("options", "exit_code", "expected"),
    [
        ([], 5, [100, 200]),
        (["--best"], 0, [200]),
        (["--last"], 0, [200]),
        (["--step", "100"], 0, [100]),
    ],
)
def test_a_damaged_manifest_hides_no_other_checkpoint(
    without_manifest: DirectoryStore, options: list[str], exit_code: int, expected: list[int]
) -> None:
    pulled = cloud("pull-checkpoints", *options, "--to", "home", "--json")
    assert pulled.exit_code == exit_code
    found = json.loads(pulled.stdout)["checkpoints"]
    assert [(one["step"], one["verified"]) for one in found] == [(s, True) for s in expected]
    assert "warning: skipping the checkpoint of step 300" in pulled.stderr


def test_a_damaged_manifest_that_was_asked_for_is_the_error(
    without_manifest: DirectoryStore,
) -> None:
    refused = cloud("pull-checkpoints", "--step", "300", "--to", "home")
    assert refused.exit_code == 5
    assert "cannot be read" in refused.stderr
    assert not Path("home").exists()


def test_of_two_damaged_manifests_the_one_that_was_asked_for_is_named(
    without_manifest: DirectoryStore,
) -> None:
    (other,) = [
        e.key for e in without_manifest.list(layout.commits_prefix("newest")) if "100" in e.key
    ]
    without_manifest.put(other, b"{")
    refused = cloud("pull-checkpoints", "--step", "300", "--json")
    assert "00000300" in json.loads(refused.stderr.splitlines()[-1])["error"]


def test_a_damaged_manifest_spoils_neither_report_nor_teardown(
    without_manifest: DirectoryStore,
) -> None:
    reported = cloud("report", "--json")
    assert reported.exit_code == 0
    assert [c["step"] for c in json.loads(reported.stdout)["checkpoints"]] == [100, 200]
    assert "skipping the checkpoint of step 300" in reported.stderr
    without_manifest.delete(layout.result_key("newest"))
    assert cloud("down").exit_code == 0
    ended = read_result(without_manifest, "newest")
    assert ended is not None
    assert ended.kept_steps == (100, 200)


def test_a_damaged_checkpoint_is_named_and_hides_no_other(
    store: DirectoryStore, project: Path
) -> None:
    (damaged,) = [
        entry.key
        for entry in store.list(layout.checkpoints_prefix("newest"))
        if "-000000200-" in entry.key and entry.key.endswith(".safetensors")
    ]
    store.put(damaged, b"flipped")
    pulled = cloud("pull-checkpoints", "--to", "home", "--json")
    assert pulled.exit_code == 5
    flags = {c["step"]: c["verified"] for c in json.loads(pulled.stdout)["checkpoints"]}
    assert flags == {100: True, 200: False, 300: True}
    assert (project / "home" / "checkpoint-300").is_dir()
    assert not (project / "home" / "checkpoint-200").exists()


def rotate_away(
    store: DirectoryStore, project: Path, monkeypatch: pytest.MonkeyPatch, first: set[int]
) -> None:
    """A run at work: just before one of these steps is restored it is removed, for a new one."""
    steps = itertools.count(400, 100)

    def restore_too_late(runs: Store, manifest: Manifest, *more: Any) -> None:
        if manifest.step in first:
            commit(store, project, 1, next(steps), None)
            remove_checkpoint(store, manifest)
        restore(runs, manifest, *more)

    monkeypatch.setattr(pull, "restore", restore_too_late)


def test_what_came_in_place_of_a_rotated_checkpoint_is_pulled(
    store: DirectoryStore, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate_away(store, project, monkeypatch, {100})
    pulled = cloud("pull-checkpoints", "--to", "home", "--json")
    assert steps(pulled) == [200, 300, 400]
    lasts = [c["step"] for c in json.loads(pulled.stdout)["checkpoints"] if c["last"]]
    assert lasts == [400]
    assert "step 100 was rotated away during the download" in pulled.stderr
    assert pulled.stderr.count("step 200: home/checkpoint-200") == 1
    folders = sorted(path.name for path in (project / "home").iterdir())
    assert folders == ["checkpoint-200", "checkpoint-300", "checkpoint-400"]


def test_a_run_that_rotates_faster_than_anybody_can_fetch_is_not_followed_for_ever(
    store: DirectoryStore, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate_away(store, project, monkeypatch, {300, 400, 500})
    pulled = cloud("pull-checkpoints", "--last", "--to", "home", "--json")
    assert pulled.exit_code == 5
    assert "step 500 was rotated away" in pulled.stderr
    assert "the best one is always kept" in pulled.stderr
    [last] = json.loads(pulled.stdout)["checkpoints"]
    assert (last["step"], last["verified"]) == (500, False)
    assert list((project / "home").iterdir()) == []


def test_a_step_that_was_rotated_away_is_there_no_more(
    store: DirectoryStore, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate_away(store, project, monkeypatch, {100})
    refused = cloud("pull-checkpoints", "--step", "100", "--to", "home")
    assert refused.exit_code == 2
    assert "there is no checkpoint of step 100" in refused.stderr


def test_a_file_that_is_missing_is_no_rotation(store: DirectoryStore) -> None:
    [missing] = [
        entry.key
        for entry in store.list(layout.checkpoints_prefix("newest"))
        if "-000000100-" in entry.key and entry.key.endswith(".safetensors")
    ]
    store.delete(missing)
    pulled = cloud("pull-checkpoints", "--to", "home")
    assert pulled.exit_code == 5
    assert f"has no {missing}" in pulled.stderr
    assert "rotated" not in pulled.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--best", "--last"], 2, "exclude each other"),
        (["--last", "--step", "100"], 2, "exclude each other"),
        (["--step", "150"], 2, "there is no checkpoint of step 150"),
        (["older"], 1, "run older has no checkpoint yet"),
    ],
)
def test_what_cannot_be_pulled_is_one_sentence(
    store: DirectoryStore, arguments: list[str], code: int, sentence: str
) -> None:
    refused = cloud("pull-checkpoints", *arguments)
    assert refused.exit_code == code
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_ended_run_without_a_checkpoint_has_no_more_to_watch(store: DirectoryStore) -> None:
    assert cloud("down", "older").exit_code == 0
    refused = cloud("pull-checkpoints", "older")
    assert refused.exit_code == 1
    assert "run older ended without a checkpoint" in refused.stderr
    assert "report older" in refused.stderr


# --- stop, down ---------------------------------------------------------------------------------


def test_stopping_what_has_ended_asks_for_nothing(store: DirectoryStore) -> None:
    stopped = cloud("stop")
    assert stopped.exit_code == 0, stopped.output
    assert not stop_requested(store, "newest")
    assert "stopped early at step 1400" in stopped.stderr


def test_that_nothing_is_billed_is_said_of_what_is_known_here(store: DirectoryStore) -> None:
    for run, infra in (("theirs", "aws"), ("ours", "local")):
        create_run(store, record(run=run, infra=infra))
        end_run(store, result(run=run))
    theirs, ours = cloud("stop", "theirs"), cloud("stop", "ours")
    assert (theirs.exit_code, ours.exit_code) == (0, 0), theirs.output + ours.output
    assert (
        "another machine launched its instance, which ends itself within minutes" in theirs.stderr
    )
    assert "nothing is billed" not in theirs.stderr
    assert "nothing is billed" in ours.stderr


def test_down_writes_the_result_that_nobody_else_will(store: DirectoryStore) -> None:
    write_status(store, status(run="older", updated_at=NOW - timedelta(hours=3)))
    for _ in range(2):
        assert cloud("down", "older").exit_code == 0
    ended = read_result(store, "older")
    assert ended is not None
    assert ended.stop_reason == StopReason.REQUESTED


def test_down_does_not_claim_an_instance_of_another_machine(store: DirectoryStore) -> None:
    write_status(store, status(run="older", updated_at=datetime.now(UTC)))
    refused = cloud("down", "older")
    assert refused.exit_code == 4
    assert "another machine runs the instance of run older" in refused.stderr
    assert "fintts cloud stop older" in refused.stderr
    assert read_result(store, "older") is None


# --- launch: what it refuses, before anything is written ----------------------------------------


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_dry_run_without_a_pace_says_what_measures_it(project: Path) -> None:
    text = (project / "fintts.yaml").read_text()
    (project / "fintts.yaml").write_text(text.replace("seconds_per_step: 0.2, ", ""))
    refused = cloud("launch", "--dry-run", "--name", "x", "--infra", "local")
    assert refused.exit_code == 2
    assert "--dry-run trains nothing" in " ".join(refused.stderr.split())
    assert "`fintts estimate --infra local` first" in " ".join(refused.stderr.split())
    assert cloud("launch", "--dry-run", "--seconds-per-step", "1").exit_code == 0


def test_a_dry_run_prints_the_task_and_touches_nothing(project: Path, tmp_path: Path) -> None:
    before = everything(tmp_path)
    shown = cloud(
        "launch", "--dry-run", "--show-task", "--name", "x", "--infra", "aws/us-east-1",
        "--gpus", "h100",
    )  # fmt: skip
    assert shown.exit_code == 0, shown.output
    assert 'infra: "aws/us-east-1"' in shown.stdout
    assert 'accelerators: "H100:1"' in shown.stdout
    assert "expected" in shown.stderr
    assert "image_id" not in shown.stdout
    document = json.loads(cloud("launch", "--dry-run", "--json", "--name", "x").stdout)
    assert document["run"] == "x"
    assert document["estimate"]["scenarios"]["worst"]["stop_step"] == 400
    assert 'name: "x"' in document["task"]
    assert everything(tmp_path) == before


def test_a_dry_run_prints_the_bill_and_the_task_only_if_asked(project: Path) -> None:
    bill = cloud("launch", "--dry-run", "--name", "x", "--quiet")
    assert bill.exit_code == 0, bill.output
    assert bill.stdout.startswith("Run x on local")
    assert "STOPS AT STEP" in bill.stdout
    assert "setup: |" not in bill.output
    task = cloud("launch", "--dry-run", "--show-task", "--name", "x")
    assert task.stdout.startswith('name: "x"')
    assert "STOPS AT STEP" in task.stderr
    refused = cloud("launch", "--show-task", "--name", "x")
    assert (refused.exit_code, "add --dry-run" in refused.stderr) == (2, True)


@pytest.mark.parametrize(("infra", "is_booted"), [("aws", True), ("local", False)])
def test_an_image_is_for_rented_instances(
    project: Path, monkeypatch: pytest.MonkeyPatch, infra: str, *, is_booted: bool
) -> None:
    monkeypatch.setenv("FINTTS_IMAGE", "docker:me/trainer:1")
    shown = cloud("launch", "--dry-run", "--show-task", "--infra", infra)
    assert shown.exit_code == 0, shown.output
    assert ('image_id: "docker:me/trainer:1"' in shown.stdout) == is_booted


@pytest.mark.parametrize(
    ("arguments", "code", "sentence", "hint"),
    [
        ([], 2, "cannot ask whether to launch", "--yes"),
        (["--no-input"], 2, "cannot ask whether to launch", "--yes"),
        (["--yes", "--budget", "0.01"], 3, "expected to cost $0.03", "--budget"),
        (["--yes", "--infra", "aws"], 2, "a rented instance cannot reach the folder", "s3://"),
        (["--yes", "--gpus", "A100-80"], 2, "A100-80", "A100-80GB"),
        (["--yes", "--name", "Not-OK"], 2, "name should be 1 to 40 of", ""),
        (["--yes", "--config", "nowhere.yaml"], 2, "the configuration file", "fintts init"),
    ],
)
def test_a_launch_that_is_refused_leaves_nothing(
    project: Path, tmp_path: Path, arguments: list[str], code: int, sentence: str, hint: str
) -> None:
    before = everything(tmp_path)
    refused = cloud("launch", *arguments)
    assert refused.exit_code == code, refused.output
    assert sentence in refused.stderr
    assert hint in refused.stderr
    assert refused.stdout == ""
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("damage", "code", "sentence"),
    [
        ("no data", 2, "does not exist"),
        ("half a pair", 1, "has 1 problem"),
        ("empty data", 1, "has no .npy or .lab files"),
        ("no base model", 2, "the base model folder"),
        ("no weights", 1, "has no model.pth"),
        ("no configuration", 2, "data and base_model are not set"),
        ("unknown key", 2, "unknown key training.batchsize"),
        ("large batch", 2, "training.batch_size (fintts.yaml:"),
    ],
)
def test_a_project_that_cannot_be_launched_is_one_sentence(
    project: Path, damage: str, code: int, sentence: str
) -> None:
    break_project(project, damage)
    refused = cloud("launch", "--yes")
    assert refused.exit_code == code, refused.output
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (project / "store").exists()


REPLACED = {
    "no base model": (f"base_model: {TINY}", "base_model: base"),
    "no weights": (f"base_model: {TINY}", "base_model: base"),
    "unknown key": ("batch_size", "batchsize"),
    "large batch": ("batch_size: 4", "batch_size: 400"),
}


@pytest.mark.parametrize(("count", "more"), [(1, 0), (5, 2)])
def test_what_looks_odd_in_the_data_is_said_before_the_launch(
    project: Path, count: int, more: int
) -> None:
    for number in range(count):
        (project / "speech" / f"u{number:03}.lab").write_text(f"word{number} " * 2000)
    shown = cloud("launch", "--dry-run", "--quiet")
    assert shown.exit_code == 0, shown.output
    assert shown.stderr.count("bytes of text, which may be more than") == count - more
    assert ("and 2 more in the data" in shown.stderr) == bool(more)


def break_project(project: Path, damage: str) -> None:
    file, speech = project / "fintts.yaml", project / "speech"
    file.write_text(file.read_text().replace(*REPLACED.get(damage, ("", ""))))
    if damage in ("no data", "empty data"):
        shutil.rmtree(speech)
    if damage == "empty data":
        speech.mkdir()
    elif damage == "half a pair":
        (speech / "u000.lab").unlink()
    elif damage == "no weights":
        (project / "base").mkdir()
        shutil.copy(TINY / "config.json", project / "base")
    elif damage == "no configuration":
        file.write_text("")


def test_a_worst_case_over_budget_warns_where_the_deadline_cuts(project: Path) -> None:
    text = (project / "fintts.yaml").read_text()
    (project / "fintts.yaml").write_text(text.replace("setup_seconds: 10", "stop_step: 50"))
    shown = cloud("launch", "--dry-run", "--budget", "0.03")
    assert shown.exit_code == 0, shown.output
    assert "warning: a run to step 400 would cost $0.04: the deadline ends it at about step" in (
        shown.stderr
    )


def test_an_expected_stop_beyond_the_last_step_is_the_last_step(project: Path) -> None:
    file = project / "fintts.yaml"
    file.write_text(file.read_text().replace("setup_seconds: 10", "stop_step: 220"))
    shown = cloud("launch", "--dry-run", "--max-steps", "60")
    assert shown.exit_code == 0, shown.output
    said = "forecast.stop_step (fintts.yaml:11) is 220, beyond training.max_steps 60"
    assert said in " ".join(shown.stderr.split())
    estimated = invoke(["estimate", "--max-steps", "60"])
    assert estimated.exit_code == 0, estimated.output
    assert said in " ".join(estimated.stdout.split())
    typed = cloud("launch", "--dry-run", "--max-steps", "60", "--steps", "61")
    assert (typed.exit_code, "--steps 61 is beyond --max-steps 60" in typed.stderr) == (2, True)
    assert "beyond" not in cloud("launch", "--dry-run").stderr


def test_a_local_run_is_not_refused_for_its_expected_stop(project: Path) -> None:
    file = project / "fintts.yaml"
    file.write_text(file.read_text().replace("setup_seconds: 10", "stop_step: 220"))
    here = open_workplace()
    found = read_settings({"training.max_steps": 60})
    terms = terms_here(here, found, RunInputs.of(here, found.settings), NOW)
    assert terms.estimate is not None
    assert terms.estimate.given.max_steps == 60


@pytest.mark.parametrize(
    ("infra", "said"),
    [
        ("nosuch", "neither SkyPilot nor the price list knows the cloud nosuch"),
        ("aws/mars-1", "no line of the price list is for the region mars-1 of aws"),
    ],
)
def test_a_place_that_may_not_exist_is_warned_about(project: Path, infra: str, said: str) -> None:
    estimated = invoke(["estimate", "--infra", infra])
    for done in (cloud("launch", "--dry-run", "--infra", infra), estimated):
        assert done.exit_code == 0, done.output
        assert said in " ".join(done.stderr.split())
    known = cloud("launch", "--dry-run", "--infra", "aws/US-East-1", "--gpus", "H100")
    assert "price list" not in known.stderr
    sold = cloud("launch", "--dry-run", "--infra", "lambda/x", "--gpus", "A6000")
    assert "price list" not in sold.stderr


def test_the_known_clouds_are_skypilots() -> None:
    code = "import sky; print('known', *sky.utils.registry.CLOUD_REGISTRY)"
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) - {"known"} == set(CLOUDS) - {"k8s"}


@pytest.mark.parametrize("name", ["-x", "--", "-"])
def test_a_new_run_is_not_named_like_an_option(project: Path, name: str) -> None:
    refused = cloud("launch", "--dry-run", f"--name={name}")
    assert refused.exit_code == 2
    assert f"a run cannot be called {name}: its name begins with a letter" in refused.stderr


def test_a_run_that_has_such_a_name_is_found(project: Path, store: Store) -> None:
    create_run(store, record(run="-x"))
    assert existing_run(store, "-x") is not None
