"""`fintts cloud pin`, `unpin` and `prune`: what they show, ask, remove and refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from cli_project import write_project
from command_line import invoke
from fintts_cli.terminal.terminal import Terminal
from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.checkpoints.commit import CheckpointFacts, Committer
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.runs.claims import take_claim
from fintts_store.runs.runs import create_run
from run_samples import DIGEST, record

RUN = "kalevala-1"
VALUES = {100: 4.5, 200: 4.0, 300: 4.2, 400: 4.3, 500: None}


def cloud(*arguments: str) -> Result:
    return invoke(["cloud", *arguments])


@pytest.fixture
def store(own_folder: Path) -> DirectoryStore:
    """A run that keeps the last two and the best, and holds five."""
    project = write_project(own_folder)
    store = DirectoryStore(project / "store")
    create_run(store, record(run=RUN))
    committer = Committer(store, RUN, take_claim(store, RUN, "me"), keep_last=9, keep_best=True)
    for step, value in VALUES.items():
        folder = project / f"saved-{step}"
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(bytes([step % 251]) * step * 1000)
        facts = CheckpointFacts(step, "c", DIGEST, "val/loss", "min", value)
        committer.commit(folder, facts)
    return store


def steps(store: DirectoryStore) -> list[int]:
    return [manifest.step for manifest in list_manifests(store, RUN)]


def test_a_pin_is_honoured_shown_and_taken_away(store: DirectoryStore) -> None:
    pinned = cloud("pin", RUN, "100", "--json")
    assert json.loads(pinned.stdout) == {"run": RUN, "pinned_steps": [100]}
    plan = json.loads(cloud("prune", RUN, "--dry-run", "--json").stdout)
    assert {k["step"]: k["reasons"] for k in plan["keep"]}[100] == ["pinned"]
    kept = json.loads(cloud("report", RUN, "--json").stdout)["checkpoints"]
    assert {k["step"]: k["reasons"] for k in kept}[100] == ["pinned"]
    assert json.loads(cloud("unpin", RUN, "100", "--json").stdout)["pinned_steps"] == []
    assert cloud("prune", RUN, "--yes").exit_code == 0
    assert steps(store) == [200, 400, 500]


@pytest.mark.parametrize(
    ("arguments", "code", "said", "hint"),
    [
        (["pin", RUN, "150"], 2, "has no checkpoint of step 150", "of steps 100, 200, 300"),
        (
            ["unpin", RUN, "100"],
            2,
            "step 100 of run kalevala-1 is not pinned",
            "no checkpoint is pinned",
        ),
        (["pin", "kalevala-2", "100"], 2, "there is no run kalevala-2", "did you mean kalevala-1"),
        (["pin", RUN, "many"], 2, "STEP", ""),
        (["pin", RUN], 2, "STEP", ""),
        (["prune", RUN, "--keep-last", "0"], 2, "--keep-last", ""),
        (["prune", RUN], 2, "cannot ask whether to remove", "--yes removes without asking"),
        (["prune", "../x"], 2, "there is no run ../x", "`fintts cloud ps` lists all runs"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    store: DirectoryStore, arguments: list[str], code: int, said: str, hint: str
) -> None:
    refused = cloud(*arguments)
    assert refused.exit_code == code
    assert said in refused.stderr
    assert hint in refused.stderr
    assert steps(store) == list(VALUES)


def test_it_is_shown_before_anything_goes(
    store: DirectoryStore, golden: Callable[[str, str], None]
) -> None:
    take_claim(store, RUN, "the next")
    store.put(f"{layout.checkpoints_prefix(RUN)}000001-000000600-0123abcd/adapter", b"x" * 1234)
    shown = cloud("prune", "--dry-run")
    assert shown.exit_code == 0
    golden("prune.txt", shown.stdout)
    assert steps(store) == list(VALUES)


@pytest.mark.parametrize(("answer", "code"), [(True, 0), (False, 1)])
def test_on_a_terminal_it_asks(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, answer: bool, code: int
) -> None:
    monkeypatch.setattr(Terminal, "may_ask", True)
    monkeypatch.setattr(Terminal, "confirm", lambda _self, _question: answer)
    ended = cloud("prune", RUN)
    assert ended.exit_code == code
    assert steps(store) == ([200, 400, 500] if answer else list(VALUES))
    assert ("nothing was removed" in ended.stderr) is not answer


def test_a_document_says_what_went(store: DirectoryStore) -> None:
    document = json.loads(cloud("prune", RUN, "--keep-last", "1", "--yes", "--json").stdout)
    assert [(one["step"], one["reasons"]) for one in document["keep"]] == [
        (200, ["best"]),
        (500, ["last"]),
    ]
    gone = [one["step"] for one in document["remove"] if one["removed"] and one["committed"]]
    assert gone == [100, 300, 400]
    assert document["remove_bytes"] == 800_000
    assert steps(store) == [200, 500]


def test_with_nothing_to_remove_nobody_is_asked(store: DirectoryStore) -> None:
    assert cloud("prune", RUN, "--yes").exit_code == 0
    again = cloud("prune", RUN)
    assert again.exit_code == 0
    assert "nothing to remove" in again.stdout


def test_a_damaged_checkpoint_is_named_and_left(store: DirectoryStore) -> None:
    (key,) = [e.key for e in store.list(layout.commits_prefix(RUN)) if "500" in e.key]
    store.put(key, b"{")
    pruned = cloud("prune", RUN, "--yes")
    assert pruned.exit_code == 0
    assert "it is kept" in pruned.stderr
    assert store.get(key) == b"{"
    store.delete(key)
    assert steps(store) == [200, 300, 400]
