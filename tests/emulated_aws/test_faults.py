"""What goes wrong on an instance ends with no instance, and with the truth about the run."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from a_laptop import ENDLESS, Laptop, billed
from checks import every
from rig.cloud import EmulatedAws
from rig.timeline import Timeline
from waiting import wait_until

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(1500)]

HUNG_USD, SILENT_USD = "1.00", "0.90"
"""523 and 471 s at $6.88 an hour, 310 of them kept for the end"""
UNTIL_THE_BUDGET_ENDS = {"FINTTS_EARLY_STOPPING__PATIENCE": "1000"}
TRAINER = "pgrep -d ' ' -f '^[^ ]*python[^ ]* -P -m fintts_trainer work'"
AND_WATCHDOG = "pgrep -d ' ' -f '^[^ ]*python[^ ]* -P -m fintts_trainer (run|work)'"
# What `timeout` sends wakes a stopped process up; this one does not stay awake.
HANG = f"""\
pid=$({AND_WATCHDOG})
setsid sh -c "while kill -STOP $pid; do sleep 0.1; done" < /dev/null > /dev/null 2>&1 &"""
OURS = "pgrep -f '^[^ ]*python[^ ]* -P -m fintts_trainer'"
HANG_FROM_THE_START = f"""\
setsid sh -c "until {TRAINER}; do sleep 0.05; done;
while :; do kill -STOP \\$({OURS}) \\$(pgrep -x timeout); sleep 0.1; done" \
< /dev/null > /dev/null 2>&1 &"""
"""Trainer and guard, before the first heartbeat: nothing there tells anybody, or ends it."""
CRASH = f"kill -SEGV $({TRAINER})"
FILL = "cat /dev/zero > ~/filler 2> /dev/null || true"


def launch(laptop: Laptop, run: str, *options: str, **variables: str) -> str:
    """Returns the instance's id once a checkpoint has been committed."""
    laptop.launch(run, *options, **variables)
    laptop.await_commit(run)
    [instance] = laptop.instances(run)
    return instance.id


def launch_silent(laptop: Laptop, run: str, *options: str) -> str:
    """The same of one that never gets to say a word."""
    launching = laptop.begin("cloud", "launch", "--name", run, "--yes", "--detach", *options)
    wait_until(lambda: bool(laptop.instances(run)))
    [instance] = laptop.instances(run)
    laptop.cloud.await_boot(instance.id)
    laptop.cloud.run_in_instance(instance.id, HANG_FROM_THE_START)
    _, said = launching.communicate()
    assert launching.returncode == 0, said
    return instance.id


def launch_twice(
    laptop: Laptop, run: str, other_state: Path, **variables: str
) -> tuple[str, dict[str, str]]:
    """Two laptops launch it at once. Returns the id of the one instance that comes of that, and
    the variables of the laptop that rented it."""
    words = ("cloud", "launch", "--name", run, "--yes", "--detach")
    states: tuple[dict[str, str], ...] = ({}, {"FINTTS_STATE_DIR": str(other_state)})
    launching = [laptop.begin(*words, **variables, **state) for state in states]
    said = [each.communicate()[1] for each in launching]
    assert sorted(each.returncode == 0 for each in launching) == [False, True], said
    [refused] = [text for each, text in zip(launching, said, strict=True) if each.returncode]
    # As the other has taken its number, or has written run.json already.
    taken = (f"already launched run {run}", f"another launch just started run {run}")
    assert any(sentence in refused for sentence in taken), refused
    laptop.await_commit(run)
    [instance] = laptop.instances(run)
    [winner] = [state for each, state in zip(launching, states, strict=True) if not each.returncode]
    return instance.id, winner


def seen(laptop: Laptop, run: str, **variables: str) -> Any:
    """How the laptop that launched the run sees it; another one cannot tell of its instance."""
    view = laptop.view(run, **variables)
    assert view["instance_is_live"] is False
    return view


def assert_saved(laptop: Laptop, run: str) -> None:
    """What was committed before the fault can be brought home."""
    pulled = laptop.document("cloud", "pull-checkpoints", run)
    assert pulled["checkpoints"]
    assert every(one["verified"] for one in pulled["checkpoints"])


def test_a_crash_and_silence_end_without_an_instance_and_with_the_truth(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "faults")
    silent = launch_silent(laptop, "silent", "--budget", SILENT_USD)
    timeline.mark("silent: trainer and guard stopped before a word")
    twice, winner = launch_twice(laptop, "crashed", tmp_path / "another", **ENDLESS)
    emulated_aws.run_in_instance(twice, CRASH)
    timeline.mark("crashed: SIGSEGV")
    emulated_aws.shut_laptop()
    wait_until(lambda: not billed(emulated_aws))
    timeline.mark("nothing is billed")

    [only] = laptop.instances("silent")
    assert (only.id, only.state) == (silent, "terminated"), "it powered itself off"
    view = seen(laptop, "silent")
    assert view["phase"] == "failed", view
    assert 0 < view["cost_so_far_usd"] <= float(SILENT_USD), view
    view = seen(laptop, "crashed", **winner)
    assert (view["phase"], view["stop_reason"]) == ("failed", "failed"), view
    assert view["message"] == "the trainer was ended by SIGSEGV"
    assert laptop.fintts("cloud", "watch", "crashed").returncode == 1
    assert_saved(laptop, "crashed")


@pytest.mark.by_hand  # unit tests cause each of them on this machine
def test_a_hindered_trainer_ends_without_an_instance_and_with_the_truth(
    emulated_aws: EmulatedAws, tmp_path: Path, timeline: Timeline
) -> None:
    laptop = Laptop(emulated_aws, tmp_path / "project", "hindered")
    other = Laptop(emulated_aws, tmp_path / "other", "denied")
    with ExitStack() as stack:
        hung = launch(laptop, "hung", "--budget", HUNG_USD, **UNTIL_THE_BUDGET_ENDS)
        emulated_aws.run_in_instance(hung, HANG)
        timeline.mark("hung: stopped")
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
    view = seen(laptop, "full")
    assert (view["phase"], view["stop_reason"]) == ("failed", "failed"), view
    assert "is full" in view["message"], view
    assert (refused["phase"], refused["stop_reason"]) == ("failed", None), refused
    assert "without a result" in refused["message"], refused
    for run in ("hung", "full"):
        assert_saved(laptop, run)
    assert_saved(other, "refused")
