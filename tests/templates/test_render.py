"""The rendered task: its text, what SkyPilot makes of it, and what no value can do to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fintts_templates import Arming, Rental, TaskValues, render
from fintts_trainer.session import exit_codes

TASK = TaskValues(
    run="kalevala-1",
    workdir="/home/aino/.local/state/fintts/bundle",
    envs={
        "FINTTS_RUN": "kalevala-1",
        "FINTTS_STORE": "/srv/runs",
        "FINTTS_DEADLINE_AT": "2026-11-23T12:00:00Z",
    },
    labels={"fintts-run": "kalevala-1"},
)
TASKS = {
    "local": replace(TASK, infra=None),
    "aws_on_demand": replace(
        TASK, infra="aws/us-east-1", rentals=(Rental("H100:1", Decimal("6.88")),), disk_gb=100
    ),
    "spot": replace(
        TASK,
        rentals=(Rental("A100-80GB:1", Decimal("1.20")),),
        image="docker:me/trainer:1",
        use_spot=True,
    ),
    "several_gpus": replace(
        TASK,
        rentals=(Rental("H100:1", Decimal("2.4")), Rental("A100-80GB:1", Decimal("1.20"))),
        use_spot=True,
    ),
    "by_skylet": replace(
        TASK,
        infra="verda/FIN-01",
        arming=Arming.SKYLET,
        files={"~/.verda/config.json": "~/.verda/config.json"},
    ),
    "anywhere": replace(TASK, infra=None, arming=Arming.IF_POD),
    "by_pod": replace(TASK, infra="runpod", arming=Arming.POD, use_spot=True, idle_minutes=12),
}
READ_BY_SKY = """
import json, sys
from pathlib import Path
import sky
def facts(path):
    task = sky.Task.from_yaml(path)
    rentals = [resources.to_yaml_config() for resources in task.resources]
    return {"name": task.name, "workdir": task.workdir, "envs": task.envs, "setup": task.setup,
            "run": task.run, "resources": rentals[0], "rentals": rentals,
            "file_mounts": task.file_mounts,
            "in_order": isinstance(task.resources, list)}
Path("facts.json").write_text(json.dumps([facts(path) for path in sys.argv[1:]]))
"""


@pytest.fixture(scope="module")
def as_sky_reads(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What SkyPilot's own parser finds in each task, in a home of its own."""
    folder = tmp_path_factory.mktemp("sky")
    paths = [folder / f"{name}.yaml" for name in TASKS]
    for path, task in zip(paths, TASKS.values(), strict=True):
        path.write_text(render(replace(task, workdir=str(folder))))
    environment = {"HOME": str(folder), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", READ_BY_SKY, *map(str, paths)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    read = json.loads((folder / "facts.json").read_text())
    return dict(zip(TASKS, read, strict=True))


def loaded(task: TaskValues) -> dict[str, object]:
    content: object = yaml.safe_load(render(task))
    assert isinstance(content, dict)
    return cast("dict[str, object]", content)


@pytest.mark.parametrize("name", TASKS)
def test_task_is_as_in_the_golden_file(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"task_{name}.yaml", render(TASKS[name]))


@pytest.mark.parametrize("name", TASKS)
def test_skypilot_reads_what_was_meant(
    name: str, as_sky_reads: dict[str, dict[str, object]]
) -> None:
    read, written = as_sky_reads[name], loaded(TASKS[name])
    assert read["name"] == "kalevala-1"
    assert read["envs"] == dict(TASK.envs)
    assert (read["setup"], read["run"]) == (written["setup"], written["run"])


def test_skypilot_tears_down_without_waiting_for_anybody(
    as_sky_reads: dict[str, dict[str, object]],
) -> None:
    for name, task in TASKS.items():
        resources = as_sky_reads[name]["resources"]
        assert isinstance(resources, dict)
        autostop = {"idle_minutes": 1, "down": True, "wait_for": "jobs"}
        assert resources.get("autostop") == (autostop if task.has_autostop else None)
        assert resources["labels"] == {"fintts-run": "kalevala-1"}


def test_skypilot_takes_no_dearer_offer(as_sky_reads: dict[str, dict[str, object]]) -> None:
    resources = as_sky_reads["spot"]["resources"]
    assert isinstance(resources, dict)
    assert resources["max_hourly_cost"] == 1.2
    assert resources["use_spot"] is True


def test_skypilot_takes_several_gpus_in_our_order_and_each_at_its_own_rate(
    as_sky_reads: dict[str, dict[str, object]],
) -> None:
    read = as_sky_reads["several_gpus"]
    rentals = cast("list[dict[str, object]]", read["rentals"])
    assert read["in_order"] is True
    assert [(each["accelerators"], each["max_hourly_cost"]) for each in rentals] == [
        ({"H100": 1}, 2.4),
        ({"A100-80GB": 1}, 1.2),
    ]
    for each in rentals:
        assert each["use_spot"] is True
        assert each["autostop"] == {"idle_minutes": 1, "down": True, "wait_for": "jobs"}
        assert each["labels"] == {"fintts-run": "kalevala-1"}
        assert each["job_recovery"] == rentals[0]["job_recovery"]


def test_skypilot_brings_back_what_was_taken_away_and_nothing_that_failed(
    as_sky_reads: dict[str, dict[str, object]],
) -> None:
    resources = as_sky_reads["spot"]["resources"]
    assert isinstance(resources, dict)
    recovery = resources["job_recovery"]
    assert isinstance(recovery, dict)
    assert recovery["max_restarts_on_errors"] == 0
    assert recovery["recover_on_exit_codes"] == [exit_codes.PREEMPTED]


def test_scripts_are_the_same_wherever_the_task_runs() -> None:
    scripts = {(str(loaded(task)["setup"]), str(loaded(task)["run"])) for task in TASKS.values()}
    ours = loaded(TASK)
    assert {run for _, run in scripts} == {ours["run"]}
    for setup, _ in scripts:
        assert setup.endswith(str(ours["setup"]))  # what arms the end comes before it


def test_skypilot_copies_the_key_that_an_instance_needs(
    as_sky_reads: dict[str, dict[str, object]],
) -> None:
    key = "~/.verda/config.json"
    assert as_sky_reads["by_skylet"]["file_mounts"] == {key: key}
    assert as_sky_reads["aws_on_demand"]["file_mounts"] is None


@given(
    st.text(st.characters(exclude_categories=())),
    st.dictionaries(st.text(min_size=1, max_size=30), st.text(), max_size=3),
)
def test_no_value_becomes_yaml(text: str, more: dict[str, str]) -> None:
    rentals = (Rental(text, Decimal(1)),)
    task = TaskValues(run=text, workdir=text, envs=more, rentals=rentals, labels=more)
    content = loaded(task)
    assert (content["name"], content["workdir"]) == (text, text)
    assert (content["envs"] or {}) == more
    assert set(content) == {"name", "resources", "workdir", "envs", "setup", "run"}


def test_environment_of_the_laptop_stays_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    assert "planted" not in render(TASKS["spot"])


def test_golden_files_are_one_for_each_task() -> None:
    folder = Path(__file__).parents[1] / "golden"
    assert {path.name for path in folder.glob("task_*.yaml")} == {
        f"task_{name}.yaml" for name in TASKS
    }
