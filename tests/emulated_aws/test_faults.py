"""What goes wrong on an instance ends with no instance, and with the truth about the run."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from a_laptop import ENDLESS, Laptop, billed
from rig.cloud import EmulatedAws
from rig.timeline import Timeline
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(900)]

UNTIL_THE_BUDGET_ENDS = {"FINTTS_EARLY_STOPPING__PATIENCE": "1000"}
TRAINER = "pgrep -f '^[^ ]*python[^ ]* -m fintts_trainer run'"
# What `timeout` sends wakes a stopped process up; this one does not stay awake.
HANG = f"""\
pid=$({TRAINER})
setsid sh -c "while kill -STOP $pid; do sleep 0.1; done" < /dev/null > /dev/null 2>&1 &"""
CRASH = f"kill -SEGV $({TRAINER})"
FILL = "cat /dev/zero > ~/filler 2> /dev/null || true"


def launch(laptop: Laptop, run: str, *options: str, **variables: str) -> str:
    """Returns the instance's id once a checkpoint has been committed."""
    words = ("cloud", "launch", "--name", run, "--yes", "--detach", *options)
    launched = laptop.fintts(*words, **variables)
    assert launched.returncode == 0, launched.stderr
    wait_until(lambda: laptop.commits(run) > 0)
    [instance] = [one for one in laptop.cloud.instances() if one.tags.get("fintts-run") == run]
    return instance.id


def seen(laptop: Laptop, run: str) -> Any:
    [view] = [one for one in laptop.document("cloud", "ps") if one["run"] == run]
    assert view["instance_is_live"] is False
    return view


def assert_saved(laptop: Laptop, run: str) -> None:
    """What was committed before the fault can be brought home."""
    pulled = laptop.document("cloud", "pull-checkpoints", run)
    assert pulled["checkpoints"]
    assert all(one["verified"] for one in pulled["checkpoints"])


def test_every_fault_ends_without_an_instance_and_with_the_truth(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "faults")
    other = Laptop(emulated_aws, tmp_path / "other", "denied")
    with ExitStack() as stack:
        hung = launch(laptop, "hung", "--budget", "0.40", **UNTIL_THE_BUDGET_ENDS)
        emulated_aws.run_in_instance(hung, HANG)
        timeline.mark("hung: stopped")
        emulated_aws.run_in_instance(launch(laptop, "crashed", **ENDLESS), CRASH)
        timeline.mark("crashed: SIGSEGV")
        emulated_aws.run_in_instance(launch(laptop, "full", **ENDLESS), FILL, user="root")
        timeline.mark("full: no byte is left on its disk")
        launch(other, "refused", **ENDLESS)
        stack.enter_context(emulated_aws.denied(other.bucket))
        timeline.mark("refused: nobody may write to its bucket")
        emulated_aws.shut_laptop()
        wait_until(lambda: not billed(emulated_aws))
        timeline.mark("nothing is billed")
        refused = seen(other, "refused")

    view = seen(laptop, "hung")
    assert (view["phase"], view["stop_reason"]) == ("done", "deadline"), view
    assert "did not end by itself at the deadline" in view["message"]
    view = seen(laptop, "crashed")
    assert (view["phase"], view["stop_reason"]) == ("failed", "failed"), view
    assert view["message"] == "the trainer was ended by SIGSEGV"
    assert laptop.fintts("cloud", "watch", "crashed").returncode == 1
    view = seen(laptop, "full")
    assert (view["phase"], view["stop_reason"]) == ("failed", "failed"), view
    assert "is full" in view["message"], view
    assert (refused["phase"], refused["stop_reason"]) == ("failed", None), refused
    assert "without a result" in refused["message"], refused
    for run in ("hung", "crashed", "full"):
        assert_saved(laptop, run)
    assert_saved(other, "refused")


def test_where_one_region_has_no_capacity_another_one_is_taken(
    emulated_aws: EmulatedAws, tmp_path: Path
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "sold-out")
    known = emulated_aws.instances()
    with emulated_aws.sold_out("us-east-1"):
        with emulated_aws.sold_out("us-west-2"):
            done = laptop.fintts("cloud", "launch", "--name", "nowhere", "--yes")
            assert done.returncode == 4, done.stderr
            assert "no capacity in aws/us-east-1, aws/us-west-2\n" in done.stderr, done.stderr
            assert "Traceback" not in done.stderr
            assert emulated_aws.instances() == known
            assert laptop.document("cloud", "ps") == []
        with emulated_aws.without_quota("us-west-2"):
            done = laptop.fintts("cloud", "launch", "--name", "nowhere", "--yes")
            assert done.returncode == 4, done.stderr
            no_quota = "no quota for this account in aws/us-west-2; no capacity in aws/us-east-1\n"
            assert f"error: no instance was to be had: {no_quota}" in done.stderr, done.stderr
            assert "hint: ask the cloud for quota" in done.stderr
            assert emulated_aws.instances() == known
        done = laptop.fintts("cloud", "launch", "--name", "nowhere", "--yes")
        assert done.returncode == 0, done.stderr
    [instance] = [one for one in emulated_aws.instances() if one not in known]
    assert instance.region == "us-west-2"
    assert billed(emulated_aws) == []
    [view] = laptop.document("cloud", "ps")
    assert view["stop_reason"] == "early_stopping", view
