"""A real trainer behind a link that is slower than its checkpoints come: `tc tbf`, real packets.

It trains on, waits where two checkpoints are behind, says so to whoever looks, and loses nothing.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from checks import every
from command_line import invoke
from fintts_store.backends.s3.addresses.address import S3Address
from fintts_store.backends.s3.s3 import S3Store
from fintts_store.checkpoints.listing import list_manifests
from fintts_store.checkpoints.restore import restore
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.records import Phase, Status
from fintts_store.runs.runs import read_result, read_status
from fintts_trainer.session.preemption import GRACE_SECONDS
from s3_servers import make_bucket, moto_server
from slow_link import SlowLink, slow_link
from tiny_run import TinyRun, start_run

RATE, CRAWLING = "4mbit", "256kbit"
"""A checkpoint of 0.8 MB takes 1.6 or 25 seconds, a heartbeat of 2 kB a blink beside it; a step a
tenth of a second"""
OFTEN: dict[str, dict[str, Any]] = {
    "training": {"max_steps": 100_000, "learning_rate": 1e-3, "warmup_steps": 2},
    "validation": {"every": 100_000, "fraction": 0.2},
    "early_stopping": {"enabled": False},
    "checkpoints": {"every": 1, "keep_last": 1000, "keep_best": False},
}
SLOW = "training waits because checkpoints are made faster than the store accepts them"
AT_MOST_HERE = 3
"""on its way, the one behind it, and the one that training waits with"""
SHORT_GRACE_SECONDS = 2.0
HURRIED = f"""
from fintts_trainer import __main__ as program
from fintts_trainer.session import preemption
preemption.GRACE_SECONDS = {SHORT_GRACE_SECONDS}
program.end(program.main(["work"]))
"""


@pytest.fixture(scope="module")
def link(s3_credentials: None) -> Iterator[SlowLink]:
    with slow_link(RATE) as link:
        yield link


@pytest.fixture(scope="module")
def endpoint_url(link: SlowLink) -> Iterator[str]:
    with moto_server(link.address) as url:
        yield url


@dataclass
class FarRun:
    """A run whose trainer is at the far end of the link."""

    run: TinyRun
    address: S3Address
    store: S3Store
    """as this end sees it: nothing is slow here"""
    most_here: int = 0
    """the most checkpoints that lay there at once"""
    seen: list[Status] = field(default_factory=list[Status])

    @property
    def log(self) -> str:
        return (self.run.folder / "log").read_text()

    def here(self) -> dict[int, Path]:
        """The checkpoints that are not in the store yet, by step."""
        folders = (self.run.folder / "workspace" / "checkpoints").glob("checkpoint-*")
        return {
            int(folder.name.rpartition("-")[2]): folder for folder in folders if folder.is_dir()
        }

    def await_status(self, process: Popen[bytes], holds: Callable[[Status], bool]) -> Status:
        """Looks again and again, and remembers what it saw."""
        while True:
            assert process.poll() is None, self.log
            self.most_here = max(self.most_here, len(self.here()))
            status = read_status(self.store, self.run.name)
            if status is not None:
                self.seen.append(status)
                if holds(status):
                    return status
            time.sleep(0.2)

    @contextmanager
    def trained(self, link: SlowLink, command: list[str]) -> Iterator[Popen[bytes]]:
        """The trainer; it is gone with the block."""
        environment = self.run.environment() | {"FINTTS_STORE": self.address.url}
        with (self.run.folder / "log").open("wb") as log:
            process = Popen(link.within(*command), env=environment, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def far(endpoint_url: str, tmp_path: Path) -> FarRun:
    run = start_run(tmp_path / "run", OFTEN)
    address = make_bucket(endpoint_url, f"b{secrets.token_hex(8)}")
    store = S3Store(address)
    for entry in run.store.list(""):
        store.put(entry.key, b"".join(run.store.stream(entry.key)))
    return FarRun(run, address, store)


def is_slow(status: Status) -> bool:
    return status.message is not None and status.message.startswith(SLOW)


def test_a_cadence_that_the_link_cannot_keep_is_said_and_loses_nothing(
    far: FarRun, link: SlowLink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "state"))
    with far.trained(link, far.run.command("run")) as process:
        first = far.await_status(process, is_slow)
        assert first.step - (first.last_committed_step or 0) >= 2, "steps did not wait for uploads"
        far.seen.clear()
        before = first.last_committed_step or 0
        far.await_status(process, lambda status: (status.last_committed_step or 0) > before + 1)
        assert every(is_slow(status) for status in far.seen), "between two saves it is said as well"
        assert_told(far)
        process.send_signal(signal.SIGSTOP)
        behind = {
            step: shutil.copytree(at, tmp_path / f"{step}") for step, at in far.here().items()
        }
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        assert process.wait(timeout=GRACE_SECONDS) == 75, far.log
    assert far.most_here == AT_MOST_HERE
    assert far.log.count(SLOW) == 1
    last = re.search(r"preempted at step (\d+); everything is saved", far.log)
    assert last is not None, far.log
    assert_whole(far, int(last[1]), behind, tmp_path)


def assert_told(far: FarRun) -> None:
    """To who asks for it, not only in the log."""
    place = ("--store", far.address.url, "--json")
    listed = invoke(["cloud", "ps", *place])
    assert listed.exit_code == 0, listed.output
    (view,) = json.loads(listed.stdout)
    assert view["message"].startswith(SLOW)
    assert view["message"].endswith(
        "raise checkpoints.every or use a faster store to save that time"
    )


def assert_whole(far: FarRun, last: int, behind: dict[int, Path], folder: Path) -> None:
    """What was behind is in the store, byte by byte, and the last step is the newest there."""
    store, run = far.store, far.run.name
    manifests = {manifest.step: manifest for manifest in list_manifests(store, run)}
    assert behind
    assert set(behind) <= set(manifests)
    assert (max(manifests), read_result(store, run)) == (last, None)
    restore(store, manifests[last], folder / f"restored-{last}")
    for step, at in behind.items():
        restore(store, manifests[step], folder / f"restored-{step}")
        contents = [
            {path.name: path.read_bytes() for path in one.iterdir()}
            for one in (at, folder / f"restored-{step}")
        ]
        assert contents[0] == contents[1]
    told = {row.step for row in read_metrics(store, run).rows if row.kind == "train"}
    assert told == set(range(1, last + 1)), "what the steps told came home, too"


def test_a_grace_that_the_link_outlasts_ends_the_trainer_all_the_same(
    far: FarRun, link: SlowLink, tmp_path: Path
) -> None:
    with far.trained(link, [sys.executable, "-c", HURRIED]) as process:
        far.await_status(process, lambda s: is_slow(s) and s.last_committed_step is not None)
        link.set_rate(CRAWLING)
        try:
            process.terminate()
            assert process.wait(timeout=60) == 75, "three checkpoints take over a minute"
        finally:
            link.set_rate(RATE)
    status = read_status(far.store, far.run.name)
    newest = list_manifests(far.store, far.run.name)[-1]
    assert status is not None
    lost = f"preempted at step {status.step}; its checkpoint is not committed"
    why = f"the last checkpoint could not be committed within {SHORT_GRACE_SECONDS:.0f} s"
    assert (status.phase, status.message) == (Phase.STOPPING, f"{lost}: {why}")
    assert lost in far.log
    assert "everything is saved" not in far.log
    assert newest.step < status.step
    assert newest.step == status.last_committed_step
    restore(far.store, newest, tmp_path / "restored")
    assert read_result(far.store, far.run.name) is None
