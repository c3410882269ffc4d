"""`report --html`, `--refresh` and `compare`, from a store that holds runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import Result

from command_line import invoke
from fintts_store.backends.directory import DirectoryStore
from fintts_store.layout import metrics_key, result_key
from fintts_store.runs.runs import create_run, write_status
from report_samples import CONFIG, ESTIMATE, timed_metrics
from run_samples import record, result, status


def run(*words: str) -> Result:
    """`fintts WORDS`."""
    return invoke(words)


@pytest.fixture
def store(own_folder: Path) -> DirectoryStore:
    """Two runs that have ended; the metrics of the first are torn in the middle of a row."""
    made = DirectoryStore(own_folder / "store")
    for name, batch in (("kalevala-1", 8), ("kalevala-2", 16)):
        config = {**CONFIG, "training": {"max_steps": 3000, "batch_size": batch}}
        create_run(made, record(run=name, config=config, estimate=ESTIMATE))
        write_status(made, status(run=name))
        made.put(result_key(name), result(run=name).dump().encode())
        text = "".join(row.dump() + "\n" for row in timed_metrics())
        made.put(metrics_key(name, 1, 0), text[: len(text) - 40 * (name == "kalevala-1")].encode())
    return made


def test_a_report_is_written_as_a_page(store: DirectoryStore, own_folder: Path) -> None:
    ended = run("cloud", "report", "kalevala-1", "--store", store.url, "--html", "run.html")
    assert ended.exit_code == 0, ended.stderr
    assert ended.stdout == ""
    assert "wrote run.html" in ended.stderr
    assert "the metrics have 1 row that cannot be read" in ended.stderr
    page = (own_folder / "run.html").read_text()
    assert "the metrics have 1 row that cannot be read" in page
    assert page.startswith("<!doctype html>")


def test_a_run_that_has_ended_is_not_waited_for(store: DirectoryStore, own_folder: Path) -> None:
    ended = run(
        "cloud", "report", "kalevala-2", "--store", store.url, "--html", "a/run.html",
        "--refresh", "60", "--json",
    )  # fmt: skip
    assert ended.exit_code == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert document["saved_by_early_stopping"]["steps"] == 1600
    assert document["early_stopping"]["checks"][-1]["stops"] is True
    assert 'http-equiv="refresh"' not in (own_folder / "a" / "run.html").read_text()


@pytest.mark.parametrize(
    ("step", "missing", "seconds", "words"),
    [
        (1400, 0, 0.0, "the run has spoken no samples: the log says why"),
        (1400, 3, 9.0, "samples are missing, 3 of them: the log says why"),
        (1400, 0, 9.0, ""),
        (0, 0, 0.0, ""),  # it ended while it encoded its recordings
    ],
)
def test_a_run_that_has_not_spoken_everything_is_no_secret(
    store: DirectoryStore, step: int, missing: int, seconds: float, words: str
) -> None:
    config = {**CONFIG, "samples": {"held_out": 1}}
    create_run(store, record(run="spoken", config=config, estimate=ESTIMATE))
    phases = {**result().phase_seconds, "samples": seconds}
    ended = result(run="spoken", step=step, missing_samples=missing, phase_seconds=phases)
    store.put(result_key("spoken"), ended.dump().encode())
    shown = run("cloud", "report", "spoken", "--store", store.url, "--html", "page.html")
    assert shown.exit_code == 0, shown.stderr
    for text in (shown.stderr, Path("page.html").read_text()):
        assert ("the log says why" in text, words in text) == (bool(words), True)


def test_refreshing_needs_a_page(store: DirectoryStore) -> None:
    ended = run("cloud", "report", "--store", store.url, "--refresh", "5")
    assert ended.exit_code == 2
    assert "add --html FILE" in ended.stderr


def test_a_page_that_cannot_be_written_is_said(store: DirectoryStore, own_folder: Path) -> None:
    (own_folder / "file").write_text("")
    ended = run("cloud", "report", "--store", store.url, "--html", "file/run.html")
    assert ended.exit_code == 5
    assert "Traceback" not in ended.stderr


def test_runs_are_compared(store: DirectoryStore, own_folder: Path) -> None:
    names = ("kalevala-1", "kalevala-2")
    shown = run("cloud", "compare", *names, "--store", store.url)
    assert shown.exit_code == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == list(names)
    assert ["training.batch_size", "8", "16"] in [line.split() for line in lines]
    page = run("cloud", "compare", *names, "--store", store.url, "--html", "all.html", "--json")
    assert [each["run"] for each in json.loads(page.stdout)] == list(names)
    assert "training.batch_size" in (own_folder / "all.html").read_text()


@pytest.mark.parametrize("names", [("kalevala-1",), ("kalevala-1", "kalevala-1")])
def test_one_run_is_not_compared(store: DirectoryStore, names: tuple[str, ...]) -> None:
    ended = run("cloud", "compare", *names, "--store", store.url)
    assert ended.exit_code == 2
    assert "two runs or more" in ended.stderr
