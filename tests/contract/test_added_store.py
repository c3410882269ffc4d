"""A kind of store is one folder and one line: a package that fintts does not know joins here."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import Result

from cli_project import write_project
from command_line import invoke
from fintts_cli.commands.opening import open_workplace
from fintts_cli.errors import UsageProblem
from fintts_cli.infra.environment import for_a_run_here
from fintts_cli.launch.access import grant_for
from fintts_cli.launch.preconditions import refuse_unsafe_rental
from fintts_cli.launch.prepare import prepare
from fintts_cli.settings.model import Settings
from fintts_cli.settings.read import read_settings
from fintts_store import opening
from fintts_store.opening import at_endpoint, backend_of, is_same_place, open_store

BOX = '''
"""Stores in boxes, which lie in this process's memory: box://NAME."""

from fintts_store.backend import Grant
from fintts_store.probes.probes import Finding, Probe
from fintts_store.network.reach import Obstacle
from memory_store import MemoryStore

TRIED = []


class BoxStore(MemoryStore):
    def __init__(self, url):
        super().__init__()
        self._url = url

    @property
    def url(self):
        return self._url

    @property
    def probes(self):
        return lambda folder: (Probe("lid", lambda: Finding(sentence="it closes")),)


BOXES = {}


class BoxBackend:
    scheme = "box"
    environment = ("BOX_*",)

    def full_address(self, url, endpoint_url):
        return url.rstrip("/")

    def place(self, url):
        return url.rstrip("/")

    def cloud(self, url):
        return None

    def open(self, url, patience):
        return BOXES.setdefault(self.place(url), BoxStore(self.place(url)))

    def obstacle(self, url):
        if url.endswith("locked"):
            return Obstacle("a rented instance cannot open a locked box", "take another")
        return None

    def grant(self, url, run, reads, deadline_at, role, *, adds_to=()):
        return Grant({"BOX_KEY": f"{run} until {deadline_at:%Y}"}, is_for_the_run=True)

    def try_grant(self, url, run, reads, grant, *, adds_to=()):
        TRIED.append((url, run, list(reads)))
'''
RENTED = {"infra": "aws", "gpus": "H100:1", "store": "box://attic"}


@pytest.fixture(autouse=True)
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder and the line."""
    (tmp_path / "packages" / "box").mkdir(parents=True)
    (tmp_path / "packages" / "box" / "__init__.py").write_text(BOX)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    package = importlib.import_module("box")
    # Patched, since the line itself is under test: a user adds it to the file.
    monkeypatch.setattr(opening, "BACKENDS", (*opening.BACKENDS, package.BoxBackend()))
    yield
    del sys.modules["box"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "state"))
    folder = write_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    return folder


def fintts(*arguments: str) -> Result:
    return invoke(arguments)


def test_its_addresses_are_known() -> None:
    assert at_endpoint("box://attic/", None) == "box://attic"
    assert is_same_place("box://attic/", "box://attic")
    assert not is_same_place("box://attic", "s3://attic")
    store = open_store("box://attic")
    store.put("a", b"x")
    assert open_store("box://attic/").get("a") == b"x"


@pytest.mark.usefixtures("project")
def test_it_is_checked_with_its_own_probes_and_left_empty() -> None:
    shown = fintts("store", "check", "box://attic", "--json")
    assert shown.exit_code == 0, shown.output
    probes = {one["name"]: one["verdict"] for one in json.loads(shown.stdout)["probes"]}
    assert set(probes.values()) == {"ok"}
    assert {"list", "conditional write", "lid", "clean up"} <= probes.keys()
    assert open_store("box://attic").list("") == []


@pytest.mark.usefixtures("project")
def test_an_estimate_adds_no_bill_of_s3() -> None:
    shown = fintts("estimate", "--infra", "runpod", "--store", "box://attic", "--json")
    assert shown.exit_code == 0, shown.output
    extras = json.loads(shown.stdout)["extras"]["items"]
    assert {one["name"] for one in extras} == {"disk"}


@pytest.mark.usefixtures("project")
def test_a_launch_is_planned_with_it() -> None:
    options = ("--infra", "aws", "--gpus", "H100:1", "--store", "box://attic")
    shown = fintts("cloud", "launch", "--dry-run", "--json", *options)
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["store"] == "box://attic"


@pytest.mark.usefixtures("project")
def test_an_instance_gets_its_key() -> None:
    launch = prepare(open_workplace(), read_settings({"name": "mine", **RENTED}), datetime.now(UTC))
    grant = grant_for(launch)
    assert grant.variables == {"BOX_KEY": f"mine until {launch.deadline_at:%Y}"}
    backend_of("box://attic").try_grant("box://attic", "mine", ["data/1"], grant)
    assert sys.modules["box"].TRIED == [("box://attic", "mine", ["data/1"])]


def test_what_an_instance_cannot_reach_is_refused() -> None:
    refuse_unsafe_rental(Path("sky.log"), Settings(infra="aws"), "box://attic")
    with pytest.raises(UsageProblem, match="cannot open a locked box") as refused:
        refuse_unsafe_rental(Path("sky.log"), Settings(infra="aws"), "box://locked")
    assert refused.value.hint == "take another"


def test_its_variables_travel_to_a_run_on_this_machine() -> None:
    here = {"BOX_TOKEN": "x", "AWS_PROFILE": "y", "BOTTLE_TOKEN": "z"}
    assert for_a_run_here(here) == {"BOX_TOKEN": "x", "AWS_PROFILE": "y"}
