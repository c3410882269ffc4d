"""SkyPilot's provision log is read within limits, and never in the way of a removal."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, TextIO

import pytest
import yaml

from fake_sky import Cluster, FakeSky
from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.launch.provision_log import MOST_CHARACTERS, provision_log
from fintts_cli.infra.sky.sky import SkyInfra

STOPPED = "StopFailoverError: During provisioner's failover, terminating failed."


def launch(folder: Path, sky: FakeSky) -> None:
    (folder / "bundle").mkdir()
    task = {"resources": {"use_spot": False}, "workdir": str(folder / "bundle"), "run": "true"}
    SkyInfra("aws", folder / "state", sky.session).launch("mine", yaml.safe_dump(task))


def sky_with_log(text: str) -> SimpleNamespace:
    def tail(_cluster: str, *, follow: bool, tail: int, output_stream: TextIO) -> None:
        assert tail
        assert not follow
        output_stream.write(text)

    return SimpleNamespace(tail_provision_logs=tail)


def test_the_log_is_read_without_colours_and_only_its_end() -> None:
    sky = sky_with_log("begin" + "x" * MOST_CHARACTERS + "\x1b[31mAPI key was invalid\x1b[0m")
    said = provision_log(sky, "mine")
    assert said.endswith("xAPI key was invalid")
    assert not said.startswith("b")


def test_a_server_that_never_ends_its_answer_is_not_waited_for() -> None:
    released = Event()
    sky = SimpleNamespace(tail_provision_logs=lambda _cluster, **_options: released.wait())
    begun = time.monotonic()
    assert provision_log(sky, "mine", within_seconds=0.05) == ""
    assert time.monotonic() - begun < 5
    released.set()


class Failing(FakeSky):
    """Fails to remove what it rented in the second place that it tried."""

    def __init__(self, log: Path) -> None:
        super().__init__()
        self.log = log

    def launch(self, _task: Any, *, cluster_name: str) -> None:  # type: ignore[override]  # as sky.launch, not sky.jobs.launch
        self.clusters.append(Cluster(cluster_name, time.time()))
        with self.log.open("a", encoding="utf-8") as file:
            file.write("Launching on AWS us-east-1.\nInsufficientInstanceCapacity\n")
            file.write("Launching on AWS us-west-2.\n")
        raise Exception(STOPPED)

    def tail_provision_logs(
        self, _cluster: str, *, follow: bool, tail: int, output_stream: TextIO
    ) -> None:
        assert tail
        assert not follow
        output_stream.write("InsufficientInstanceCapacity\n")


def test_what_the_log_says_of_an_earlier_place_is_not_put_down_to_the_last(tmp_path: Path) -> None:
    sky = Failing(tmp_path / "state/sky/mine/sky.log")
    with pytest.raises(CloudError) as refused:
        launch(tmp_path, sky)
    assert refused.value.message == "no instance is available: no capacity in aws/us-east-1"


class HalfLeft(FakeSky):
    """Fails to remove what it rented, and is interrupted while its log is read."""

    def launch(self, _task: Any, *, cluster_name: str) -> None:  # type: ignore[override]  # as sky.launch, not sky.jobs.launch
        self.clusters.append(Cluster(cluster_name, time.time()))
        raise Exception(STOPPED)

    def tail_provision_logs(self, _cluster: str, **_options: object) -> None:
        raise KeyboardInterrupt


def test_an_interruption_while_the_log_is_read_leaves_no_instance(tmp_path: Path) -> None:
    sky = HalfLeft()
    with pytest.raises(KeyboardInterrupt):
        launch(tmp_path, sky)
    assert [one.ended is not None for one in sky.clusters] == [True]
