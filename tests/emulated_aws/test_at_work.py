"""A run at work, looked at from all sides, until `down` takes it."""

from __future__ import annotations

import secrets
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from a_laptop import ENDLESS, Laptop, billed
from as_aws import write_rules
from checks import every
from fintts_store import layout
from planted import given_to, in_store, on_instance, on_laptop, outside
from rig import laptop as rig_laptop
from rig.cloud import EmulatedAws
from silent_server import silent_server
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(1000)]

HF_TOKEN = "hf_plantedplantedplanted"
OF_SKYPILOT_THERE = (
    r"/tmp/sky_(app|setup)_\S+",
    r"/home/ubuntu/\.sky/sky_app/sky_job_\d+",
    r"/home/ubuntu/\.bash_history",
)
"""the scripts in which SkyPilot gives a job its secrets; they go with the instance"""
OF_SKYPILOT_HERE = (r"\.sky/managed_jobs/\S+\.yaml", r"\.sky/spot_jobs\.db(-wal)?")
"""A managed job's, for an instance that comes later."""
LONGER_THAN_AUTODOWN_SECONDS = 150.0
REMOVED_WITHIN_SECONDS = {"at-work-on-demand": 60.0, "at-work-spot": 120.0}
"""A controller of jobs looks every 15 s."""
AT_WORK = ("training", "validating", "saving")


@dataclass(frozen=True)
class AtWork:
    """A run that nothing but its deadline ends; whoever launched it has pressed Ctrl-C."""

    laptop: Laptop
    run: str
    instance: str
    secret: str
    """the laptop's own key, which nobody else ever had"""
    exit_code: int
    said: str
    since: float


@pytest.fixture(
    scope="module", params=["on-demand", pytest.param("spot", marks=pytest.mark.by_hand)]
)
def at_work(
    request: pytest.FixtureRequest,
    emulated_aws: EmulatedAws,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AtWork]:
    run = f"at-work-{request.param}"
    secret = secrets.token_hex()
    rig_laptop.write_key(emulated_aws.home, secret)
    laptop = Laptop(emulated_aws, tmp_path_factory.mktemp(run) / "project", run, on_aws=True)
    words = ("cloud", "launch", "--name", run, "--yes", f"--{request.param}")
    launching = laptop.begin(*words, **ENDLESS, HF_TOKEN=HF_TOKEN)
    laptop.await_commit(run)
    launching.send_signal(signal.SIGINT)
    _, said = launching.communicate()
    [instance] = laptop.instances(run)
    yield AtWork(laptop, run, instance.id, secret, launching.returncode, said, time.monotonic())
    laptop.fintts("cloud", "down", run)


def test_ctrl_c_leaves_it_alone_and_says_how_to_come_back(at_work: AtWork) -> None:
    assert at_work.exit_code == 130, at_work.said
    back = f"run {at_work.run} keeps running; `fintts cloud watch {at_work.run}` shows it again"
    assert back in at_work.said
    assert billed(at_work.laptop.cloud) == [at_work.instance]


def test_it_is_not_launched_twice(at_work: AtWork) -> None:
    words = ("cloud", "launch", "--name", at_work.run, "--yes", "--detach")
    second = at_work.laptop.fintts(*words, **ENDLESS)
    assert second.returncode == 2, second.stderr
    assert "is already running" in second.stderr


def test_planted_secrets_are_nowhere_but_where_they_must_be(at_work: AtWork) -> None:
    laptop, cloud, instance = at_work.laptop, at_work.laptop.cloud, at_work.instance
    given = given_to(cloud, instance)
    assert given["AWS_SECRET_ACCESS_KEY"] != at_work.secret
    for secret in (at_work.secret, HF_TOKEN):
        assert on_instance(cloud, instance, secret) == set()
        assert in_store(cloud, laptop.bucket, secret) == set()
        assert on_laptop(laptop.folder, secret) == set()
        assert on_laptop(cloud.home, secret) <= {".aws/credentials"}
    for secret in (given["AWS_SECRET_ACCESS_KEY"], given["AWS_SESSION_TOKEN"]):
        assert outside(on_instance(cloud, instance, secret), OF_SKYPILOT_THERE) == []
        assert in_store(cloud, laptop.bucket, secret) == set()
        assert on_laptop(laptop.folder, secret) == set()
        assert outside(on_laptop(cloud.home, secret), OF_SKYPILOT_HERE) == []


def test_another_laptop_sees_it_and_cannot_end_it(at_work: AtWork, tmp_path: Path) -> None:
    """It has the same store, and did not ask for the instance."""
    laptop, run = at_work.laptop, at_work.run
    other = {"FINTTS_STATE_DIR": str(tmp_path / "state")}
    view = laptop.view(run, **other)
    assert view["phase"] in AT_WORK, view
    assert view["instance_is_live"] is None
    to = str(tmp_path / "pulled")
    pulled = laptop.document("cloud", "pull-checkpoints", run, "--to", to, **other)
    assert every(one["verified"] for one in pulled["checkpoints"])
    refused = laptop.fintts("cloud", "down", run, **other)
    assert refused.returncode == 4, refused.stderr
    assert "another machine runs the instance of run" in refused.stderr
    assert billed(laptop.cloud) == [at_work.instance]


def test_its_log_is_read_from_the_instance(at_work: AtWork) -> None:
    read = at_work.laptop.fintts("cloud", "logs", at_work.run)
    assert "utterances to train on" in read.stdout, read.stderr


# A managed job's instance would wait for ten minutes before it tears itself down.
@pytest.mark.parametrize("at_work", ["on-demand"], indirect=True)
def test_it_outlives_the_idle_time(at_work: AtWork) -> None:
    wait_until(lambda: time.monotonic() - at_work.since > LONGER_THAN_AUTODOWN_SECONDS)
    assert billed(at_work.laptop.cloud) == [at_work.instance], "SkyPilot took it for idle"
    view = at_work.laptop.view(at_work.run)
    assert view["phase"] in AT_WORK, view
    assert view["instance_is_live"] is True


def test_down_takes_it_without_the_store(at_work: AtWork, tmp_path: Path) -> None:
    laptop, run = at_work.laptop, at_work.run
    with silent_server("trickles") as nowhere:
        rules = write_rules(tmp_path / "rules", nowhere)
        down = laptop.begin("cloud", "down", run, AWS_DATA_PATH=str(rules))
        wait_until(lambda: billed(laptop.cloud) == [], REMOVED_WITHIN_SECONDS[run])
        _, said = down.communicate()
    assert down.returncode == 5, said
    assert "the instance is gone; but" in said
    assert laptop.keys(layout.result_key(run)) == []


def test_down_says_how_it_ended_and_twice_is_once(at_work: AtWork) -> None:
    laptop, run = at_work.laptop, at_work.run
    down = laptop.fintts("cloud", "down", run)
    assert down.returncode == 0, down.stderr
    assert laptop.fintts("cloud", "down", run).returncode == 0
    view = laptop.view(run)
    assert (view["stop_reason"], view["instance_is_live"]) == ("requested", False)
    assert [one.id for one in laptop.instances(run)] == [at_work.instance]
