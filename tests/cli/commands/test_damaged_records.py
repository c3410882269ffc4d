"""One damaged record is one line, and takes no command away for other runs."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from typer.testing import Result

import hostile_stores
from command_line import invoke
from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.restore import restore
from fintts_store.errors import CheckpointCorrupt, InvalidRecord
from fintts_store.network.fetch import fetch
from fintts_store.runs.logs import read_logs
from fintts_store.runs.metrics import read_metrics

DAMAGED = [
    kind
    for kind in hostile_stores.KINDS
    if kind.startswith(("run-", "rate-", "budget-", "deadline-", "created-", "revision-"))
    and kind not in ("run-missing", "run-a-folder", "run-a-link-to-another")
]


def fintts(*arguments: str) -> Result:
    return invoke(list(arguments))


def on(store: Path, *arguments: str) -> Result:
    return fintts(*arguments, "--store", str(store))


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_run_is_one_line_of_ps(kind: str, own_folder: Path) -> None:
    found = on(hostile_stores.make(kind, own_folder), "cloud", "ps")
    assert found.exit_code == 0
    lines = [line for line in found.stderr.splitlines() if line.startswith("warning: run ")]
    assert len(lines) == 1, found.stderr
    assert lines[0].startswith("warning: run bad: its record is damaged: ")
    assert "good" in found.stdout


TORN = [
    kind
    for kind in hostile_stores.KINDS
    if kind.startswith(("status-", "result-"))
    and kind.endswith(("-of-another", "-huge", "-torn", "-9999", "-a-pipe", "-immense"))
    and not kind.startswith("result-phases-")
]


@pytest.mark.parametrize("kind", TORN)
def test_a_run_with_a_damaged_heartbeat_or_result_stays_in_the_table(
    kind: str, own_folder: Path
) -> None:
    found = on(hostile_stores.make(kind, own_folder), "cloud", "ps")
    assert found.exit_code == 0, found.output
    said = [line for line in found.stderr.splitlines() if line.startswith("warning: run ")]
    assert len(said) == 1, found.stderr
    name = f"{kind.partition('-')[0]}.json"
    assert said[0].startswith("warning: run bad: its record is damaged: ")
    assert name in found.stderr
    assert any(line.startswith("bad ") for line in found.stdout.splitlines()), found.stdout


@pytest.mark.parametrize("kind", TORN)
def test_down_and_report_take_a_damaged_heartbeat_or_result(kind: str, own_folder: Path) -> None:
    store = hostile_stores.make(kind, own_folder)
    ended = on(store, "cloud", "down", "bad")
    assert ended.exit_code == (5 if kind.startswith("result-") else 0), ended.output
    assert ended.exit_code == 0 or "bad/result.json" in ended.stderr, "it names the damaged record"
    reported = on(store, "cloud", "report", "bad")
    assert reported.exit_code == 0, reported.output
    assert "its record is damaged" in reported.stderr


@pytest.mark.parametrize("content", ["{", '{"run": "bad", "stop_reason": "boredom"}'])
@pytest.mark.parametrize("command", ["down", "watch"])
def test_an_end_that_cannot_be_read_is_said_to_be_damaged(
    command: str, content: str, own_folder: Path
) -> None:
    store = hostile_stores.make("result-of-another", own_folder)
    (store / "runs/bad/result.json").write_text(content)
    found = on(store, "cloud", command, "bad")
    assert found.exit_code == 5, found.output
    assert "it is unknown how run bad ended, because its record is damaged: " in found.stderr
    assert "runs/bad/result.json" in found.stderr


@pytest.mark.parametrize("has_result", [True, False])
@pytest.mark.parametrize("infra", ["aws", "local"])
def test_a_damaged_heartbeat_makes_no_run_cost_nothing(
    infra: str, own_folder: Path, *, has_result: bool
) -> None:
    store = hostile_stores.make("status-torn", own_folder)
    folder = store / "runs/bad"
    shutil.rmtree(folder / "ledger", ignore_errors=True)
    if not has_result:
        (folder / "result.json").unlink()
    content = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(content | {"infra": infra}))
    found = json.loads(on(store, "cloud", "ps", "--json").stdout)
    (bad,) = [run for run in found if run["run"] == "bad"]
    assert bad["cost_so_far_usd"] > 0


def test_the_message_of_a_status_forges_no_line(own_folder: Path) -> None:
    store = hostile_stores.make("status-forges-lines", own_folder)
    (store / "runs/bad/result.json").unlink()
    found = on(store, "cloud", "ps")
    assert not any(line.startswith("good: it") for line in found.stdout.splitlines())


def test_torn_rows_are_passed_over_and_counted(own_folder: Path) -> None:
    store = hostile_stores.make("metrics-torn", own_folder)
    found = on(store, "cloud", "report", "bad")
    assert found.exit_code == 0
    assert "the metrics have 1 row that cannot be read" in found.stderr
    assert "Training loss" in found.stdout
    assert len(read_metrics(DirectoryStore(store), "bad").rows) == 40


def test_a_huge_part_of_the_metrics_is_left_out(own_folder: Path) -> None:
    store = DirectoryStore(hostile_stores.make("metrics-huge", own_folder))
    found = read_metrics(store, "bad")
    assert (len(found.rows), found.left_out_parts) == (40, 1)


def test_of_a_huge_log_the_end_is_shown(own_folder: Path) -> None:
    store = DirectoryStore(hostile_stores.make("log-huge", own_folder))
    with (own_folder / "log-huge/runs/bad/logs/20261123T092000.000000Z.txt").open("ab") as log:
        log.write(b"the last line\n")
    texts = list(read_logs(store, "bad"))
    assert "are left out" in texts[0]
    assert texts[-1].endswith("the last line\n")
    assert sum(map(len, texts)) < 5_000_000


@pytest.mark.parametrize("kind", ["manifest-smaller", "checkpoint-huge"])
def test_a_restore_writes_no_more_than_the_manifest_says(kind: str, own_folder: Path) -> None:
    store = DirectoryStore(hostile_stores.make(kind, own_folder))
    manifest = list_manifests(store, "bad")[-1]
    with pytest.raises(CheckpointCorrupt, match="bytes, but its manifest says"):
        restore(store, manifest, own_folder / "restored")
    assert not list(own_folder.glob("restored*"))
    assert not list(own_folder.glob(".tmp-*"))


@pytest.mark.parametrize(
    ("kind", "step"),
    [("claim-999999-with-a-commit", 900), ("commit-of-no-claim", 900)],
)
def test_a_commit_that_no_claim_backs_is_named_and_never_chosen(
    kind: str, step: int, own_folder: Path
) -> None:
    store = hostile_stores.make(kind, own_folder)
    for choice, expected in (("--best", [100]), ("--last", [200]), (None, [100, 200])):
        asked = ["cloud", "pull-checkpoints", "bad", "--json", "--to", f"to{choice}"]
        found = on(store, *asked, *([choice] if choice else []))
        assert [one["step"] for one in json.loads(found.stdout)["checkpoints"]] == expected
        assert found.exit_code == (0 if choice else 5), "with all of them this one is missed"
        assert f"skipping the checkpoint of step {step}: " in found.stderr
        assert "which no instance has taken" in found.stderr
    assert (
        json.loads(on(store, "cloud", "report", "bad", "--json").stdout)["checkpoints"][-1]["step"]
        == 200
    )
    assert on(store, "cloud", "pin", "bad", str(step)).exit_code != 0
    assert on(store, "cloud", "prune", "bad", "--keep-last", "1", "--yes").exit_code == 0
    left = list_manifests(DirectoryStore(store), "bad", on_unreadable=lambda *_: None)
    assert [one.step for one in left] == [100, 200], "the last and the best, as they really are"
    checked = fintts("store", "check", str(store))
    assert checked.exit_code == 5
    assert "which no instance has taken" in checked.output


def test_a_manifest_whose_value_was_changed_is_not_the_best(own_folder: Path) -> None:
    store = hostile_stores.make("manifest-of-another-value", own_folder)
    found = on(store, "cloud", "pull-checkpoints", "bad", "--best", "--json")
    assert [one["step"] for one in json.loads(found.stdout)["checkpoints"]] == [100]
    assert "skipping the checkpoint of step 200: " in found.stderr
    assert "was changed" in found.stderr


def test_a_fetch_writes_no_more_than_the_record_says(own_folder: Path) -> None:
    store = DirectoryStore(own_folder / "store")
    store.put("datasets/x", b"x" * 2_000_000)
    with pytest.raises(CheckpointCorrupt, match="larger than the 742 bytes"):
        fetch(store, "datasets/x", own_folder / "x", "0" * 64, 742)
    assert (own_folder / "x").stat().st_size <= 742


def test_a_pipe_in_a_store_is_not_waited_for(own_folder: Path) -> None:
    store = DirectoryStore(own_folder / "store")
    (own_folder / "store").mkdir()
    os.mkfifo(own_folder / "store/a")
    with pytest.raises(InvalidRecord, match="not a regular file"):
        store.get("a")


# --- files of this machine ----------------------------------------------------------------------

BROKEN = ["", "{", "[]", '{"run": "good"}', "[" * 100_000, '{"run": "other"}', "\0" * 100]


@pytest.mark.parametrize("text", BROKEN)
@pytest.mark.parametrize("place", ["journal/bad.json", "sky/bad/instance.json"])
def test_a_damaged_file_here_hides_no_run(place: str, text: str, own_folder: Path) -> None:
    store = hostile_stores.make("stop-binary", own_folder)
    content = json.loads((store / "runs/bad/run.json").read_text())
    (store / "runs/bad/run.json").write_text(json.dumps(content | {"infra": "aws"}))
    path = own_folder.parent / "state" / place
    path.parent.mkdir(parents=True)
    path.write_text(text)
    found = on(store, "cloud", "ps")
    assert found.exit_code == 0, found.output
    assert "good" in found.stdout
    assert "bad" in found.stdout


def test_a_journal_entry_of_another_run_is_damaged(own_folder: Path) -> None:
    from fintts_cli.runs.journal import Journal

    entry = {
        "run": "a",
        "infra": "local",
        "store": "/x",
        "requested_at": "2026-11-23T09:00:00Z",
        "deadline_at": "2026-11-23T09:00:00Z",
        "rates_usd": {"A100": "1.2"},
    }
    (own_folder / "b.json").write_text(json.dumps(entry))
    entries, damaged = Journal(own_folder).entries()
    assert entries == []
    assert "holds the record of run a" in damaged[0].message


# --- fintts.yaml --------------------------------------------------------------------------------

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "an anchor (&) or an alias (*)"),
        ("a: &a\n  b: *a\n", "an anchor (&) or an alias (*)"),
        ("a: " + "[" * 40 + "]" * 40, "nested more than 32 deep"),
        ("a: " + "[" * 100_000, "nested more than 32 deep"),
        ("a: 1\n" * 100_000, "a configuration has at most 262,144"),
        ("a: \x1b[2J\n", "not YAML"),
    ],
)
def test_a_hostile_settings_file_is_a_sentence(text: str, said: str, own_folder: Path) -> None:
    (own_folder / "fintts.yaml").write_text(text)
    began = time.monotonic()
    found = fintts("estimate")
    assert found.exit_code == 2, found.output
    assert said in found.stderr
    assert "\x1b" not in found.output
    assert time.monotonic() - began < 10


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give a folder away")
def test_a_settings_file_above_of_another_user_is_named_and_not_read(own_folder: Path) -> None:
    above = own_folder / "fintts.yaml"
    above.write_text("gpus: H100\n")
    below = own_folder / "below"
    below.mkdir()
    os.chdir(below)
    os.chown(own_folder, 12345, 12345)
    refused = fintts("estimate")
    assert refused.exit_code == 2
    assert f"{above} is ignored" in refused.stderr
    assert "is ignored" not in fintts("estimate", "--config", str(above)).stderr
