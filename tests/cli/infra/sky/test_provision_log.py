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
from fintts_cli.infra.sky.launch.provision_log import MOST_CHARACTERS, provision_log
from fintts_cli.infra.sky.sky import SkyInfra

STOPPED = "StopFailoverError: During provisioner's failover, terminating failed."


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


class HalfLeft(FakeSky):
    """Fails to remove what it rented, and is interrupted while its log is read."""

    def launch(self, _task: Any, *, cluster_name: str) -> None:  # type: ignore[override]  # as sky.launch, not sky.jobs.launch
        self.clusters.append(Cluster(cluster_name, time.time()))
        raise Exception(STOPPED)

    def tail_provision_logs(self, _cluster: str, **_options: object) -> None:
        raise KeyboardInterrupt


def test_an_interruption_while_the_log_is_read_leaves_no_instance(tmp_path: Path) -> None:
    sky = HalfLeft()
    (tmp_path / "bundle").mkdir()
    task = {"resources": {"use_spot": False}, "workdir": str(tmp_path / "bundle"), "run": "true"}
    with pytest.raises(KeyboardInterrupt):
        SkyInfra("aws", tmp_path / "state", sky.session).launch("mine", yaml.safe_dump(task))
    assert [one.ended is not None for one in sky.clusters] == [True]
