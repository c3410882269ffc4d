"""An infra is one folder and one line: a package that fintts does not know joins here."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import Result

from cli_project import write_project
from command_line import invoke
from fintts_cli.commands import opening
from fintts_cli.infra import Infra
from fintts_cli.places import cloud_of
from fintts_cli.workplace.equipment import Equipment
from fintts_store import opening as stores

SHED = '''
"""Instances in a shed, which this process remembers: --infra shed/PLACE. Its yard is a store that
they reach: yard://NAME."""

from datetime import UTC, datetime
from pathlib import Path

from fintts_cli.errors import CloudError
from fintts_cli.infra import Census, Holder, InstancePhase, InstanceState, Removed, Sighting
from fintts_store.backend import Grant
from fintts_store.backends.directory import DirectoryBackend, DirectoryStore

TASKS = {}


class YardStore(DirectoryStore):
    @property
    def url(self):
        return f"yard://{self.root.name}"


class YardBackend(DirectoryBackend):
    scheme = "yard"

    def full_address(self, url, endpoint_url):
        return url

    def place(self, url):
        return url

    def open(self, url, patience):
        return YardStore(Path.cwd() / url.removeprefix("yard://"))

    def obstacle(self, url):
        return None

    def grant(self, url, run, reads, deadline_at, role, *, adds_to=()):
        return Grant({"YARD_KEY": "of brass"}, is_for_the_run=True)

    def try_grant(self, url, run, reads, grant, *, adds_to=()):
        pass


class ShedInfra:
    name = "shed"

    def __init__(self, state):
        self._since = {}

    def check(self, task_yaml):
        if "use_spot: true" in task_yaml:
            raise CloudError("a shed has no spot market", "--on-demand")

    def launch(self, run, task_yaml, secrets):
        TASKS[run] = (task_yaml, dict(secrets))
        self._since[run] = datetime.now(UTC)

    def state(self, run):
        since = self._since.get(run)
        return since and InstanceState(run, InstancePhase.SETUP, f"bench of {run}", since)

    def instances(self):
        return [self.state(run) for run in self._since]

    def logs(self, run, *, follow):
        yield f"hammering {run}\\n"

    def down(self, run, *, by_name=False):
        return Removed(was_there=self._since.pop(run, None) is not None)

    def census(self):
        seen = [
            Sighting(run, Holder.FOLDER, f"bench of {run}", "shed", since)
            for run, since in self._since.items()
        ]
        return Census(tuple(seen))

    def remove(self, sighting):
        self.down(sighting.run)
'''


@pytest.fixture(autouse=True)
def tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, tuple[str, dict[str, str]]]]:
    """The folder and the line; gives what the infra was asked to run, with its secrets."""
    (tmp_path / "packages" / "shed").mkdir(parents=True)
    (tmp_path / "packages" / "shed" / "__init__.py").write_text(SHED)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    package = importlib.import_module("shed")
    monkeypatch.setitem(opening.INFRAS, "shed", package.ShedInfra)
    # Patched, since the line itself is under test: a user adds it to the file.
    monkeypatch.setattr(stores, "BACKENDS", (*stores.BACKENDS, package.YardBackend()))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("SKY_RUNTIME_DIR", str(tmp_path / "sky"))
    monkeypatch.chdir(write_project(tmp_path / "project"))
    opening.infra_in.cache_clear()
    yield package.TASKS
    opening.infra_in.cache_clear()
    del sys.modules["shed"]


def fintts(*arguments: str, **more: Any) -> Result:
    return invoke(arguments, **more)


def without_skypilot(state: Path, name: str) -> Infra:
    """An empty shed where SkyPilot would be, whose server other tests must not find running."""
    return opening.infra_in(state, name if cloud_of(name) in opening.INFRAS else "shed/empty")


def launch(*more: str) -> Result:
    where = ("--infra", "shed/corner", "--gpus", "H100:1", "--store", "yard://mine")
    return fintts("cloud", "launch", "--name", "mine", "--yes", "--detach", *where, *more)


def phase() -> str:
    shown = fintts("cloud", "ps", "--json", "--store", "yard://mine")
    assert shown.exit_code == 0, shown.output
    (run,) = json.loads(shown.stdout)
    assert run["infra"] == "shed/corner"
    return str(run["phase"])


def test_a_run_is_launched_watched_and_ended_there(
    tasks: dict[str, tuple[str, dict[str, str]]],
) -> None:
    launched = launch()
    assert launched.exit_code == 0, launched.output
    task, secrets = tasks["mine"]
    assert yaml.safe_load(task)["envs"]["FINTTS_RUN"] == "mine"
    assert secrets["YARD_KEY"] == "of brass"
    assert "of brass" not in task
    assert phase() == "setup"
    assert "hammering mine" in fintts("cloud", "logs", "mine", "--store", "yard://mine").stdout
    down = fintts("cloud", "down", "mine", "--store", "yard://mine")
    assert down.exit_code == 0, down.output
    assert phase() == "done"
    assert opening.open_workplace().infra("shed").instances() == []


def test_reap_finds_what_no_run_needs_and_removes_it() -> None:
    infra = opening.open_workplace().infra("shed")
    infra.launch("stray", "", {})
    reap = ("cloud", "reap", "--yes", "--json", "--store", "yard://mine")
    shown = fintts(*reap, obj=Equipment(open_infra=without_skypilot))
    (seen,) = json.loads(shown.stdout)["instances"]
    assert (seen["run"], seen["where"], seen["removed"]) == ("stray", "bench of stray", False)
    assert infra.instances() != [], "nobody knows a deadline of it"


def test_what_it_refuses_is_one_sentence() -> None:
    refused = launch("--spot")
    assert refused.exit_code == 4, refused.output
    assert "a shed has no spot market" in refused.output
