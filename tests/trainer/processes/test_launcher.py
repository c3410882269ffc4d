"""How many processes a run has, and what their ends mean for it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fintts_trainer.errors import BadProcessLayout
from fintts_trainer.processes.group_exit import GroupExit, group_exit
from fintts_trainer.processes.launcher import ProcessGroup, TimeLimits
from fintts_trainer.processes.layout import ProcessLayout

KILL, TERM = -signal.SIGKILL, -signal.SIGTERM
PAIR = ProcessLayout(processes=2)


@pytest.mark.parametrize(
    ("environment", "layout"),
    [
        ({}, ProcessLayout(1, 1, 0)),
        ({"SKYPILOT_NUM_GPUS_PER_NODE": "0"}, ProcessLayout(1, 1, 0)),
        ({"SKYPILOT_NUM_GPUS_PER_NODE": "8"}, ProcessLayout(8, 1, 0)),
        ({"SKYPILOT_NUM_GPUS_PER_NODE": "8", "FINTTS_PROCESSES": "2"}, ProcessLayout(2, 1, 0)),
        (
            {
                "SKYPILOT_NUM_GPUS_PER_NODE": "4",
                "SKYPILOT_NUM_NODES": "3",
                "SKYPILOT_NODE_RANK": "2",
                "SKYPILOT_NODE_IPS": "10.0.0.7\n10.0.0.8\n10.0.0.9\n",
            },
            ProcessLayout(4, 3, 2, "10.0.0.7"),
        ),
    ],
)
def test_the_team_is_as_skypilot_says(environment: dict[str, str], layout: ProcessLayout) -> None:
    assert ProcessLayout.from_environment(environment) == layout


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"FINTTS_PROCESSES": "0"}, "0 processes on machine 0 of 1 cannot be started"),
        ({"FINTTS_PROCESSES": "two"}, "FINTTS_PROCESSES is 'two', but must be a number"),
        ({"SKYPILOT_NODE_RANK": "-1"}, "SKYPILOT_NODE_RANK is '-1'"),
        ({"SKYPILOT_NUM_NODES": "2", "SKYPILOT_NODE_RANK": "2"}, "machine 2 of 2"),
    ],
)
def test_a_team_that_cannot_be_is_refused(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadProcessLayout, match=sentence):
        ProcessLayout.from_environment(environment)


def test_every_process_of_all_machines_has_a_rank_of_its_own() -> None:
    layouts = [ProcessLayout(4, 3, node, "10.0.0.7") for node in range(3)]
    ranks = [int(t.environment_of(n, "1")["RANK"]) for t in layouts for n in range(4)]
    assert ranks == list(range(12))
    assert {t.environment_of(0, "1")["WORLD_SIZE"] for t in layouts} == {"12"}
    assert [t.has_first for t in layouts] == [True, False, False]


@pytest.mark.parametrize(
    ("codes", "forwarded", "ending"),
    [
        ({0: 0, 1: 0}, None, GroupExit(0)),
        ({0: 75, 1: 0}, signal.SIGTERM, GroupExit(75)),
        ({0: 75, 1: 0}, signal.SIGINT, GroupExit(130)),
        ({0: TERM, 1: TERM}, signal.SIGTERM, GroupExit(75)),  # before they could listen
        ({0: 5, 1: 76}, None, GroupExit(5)),  # the first one says why by itself
        ({0: 76, 1: 1}, None, GroupExit(1, "process 1 of 2 failed; the log says why")),
        ({0: 76, 1: -signal.SIGSEGV}, None, GroupExit(1, "process 1 of 2 was ended by SIGSEGV")),
        (
            {0: 76, 1: KILL},
            None,
            GroupExit(
                1,
                "process 1 of 2 was ended by SIGKILL, "
                "perhaps because the machine's memory was full",
            ),
        ),
        ({0: TERM, 1: 76}, None, GroupExit(1, "process 0 of 2 was ended by SIGTERM")),
        ({0: 76, 1: 76}, None, GroupExit(1, "a process of this run on another machine has ended")),
    ],
)
def test_the_end_of_the_run_is_that_of_the_process_that_is_the_reason(
    codes: dict[int, int], forwarded: int | None, ending: GroupExit
) -> None:
    assert group_exit(PAIR, codes, forwarded) == ending


def group(tmp_path: Path, script: str, **limits: float) -> ProcessGroup:
    """Two processes that know their rank, and leave their process ids."""
    path = tmp_path / "worker.py"
    path.write_text(
        "import os, signal, sys, time\nfrom pathlib import Path\nrank = int(os.environ['RANK'])\n"
        f"Path({str(tmp_path)!r}, f'pid-{{rank}}').write_text(str(os.getpid()))\n{script}\n"
    )
    return ProcessGroup(PAIR, [sys.executable, str(path)], limits=TimeLimits(**limits))


def test_one_that_hangs_when_another_has_failed_is_ended(tmp_path: Path) -> None:
    hangs = "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600) if rank == 0 else 0"
    working = group(tmp_path, f"{hangs}\nsys.exit(1)", explain=0.3)
    assert working.run() == GroupExit(1, "process 1 of 2 failed; the log says why")
    assert not Path(f"/proc/{(tmp_path / 'pid-0').read_text()}").exists()


def test_the_first_one_is_given_the_time_that_it_needs_to_save(tmp_path: Path) -> None:
    assert group(tmp_path, "time.sleep(1) if rank == 0 else 0").run() == GroupExit(0)


def test_a_signal_reaches_all_of_them(tmp_path: Path) -> None:
    working = (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75 if rank == 0 else 0))\n"
        f"Path({str(tmp_path)!r}, f'ready-{{rank}}').touch()\ntime.sleep(600)"
    )
    group(tmp_path, working)  # writes the script
    lead = (
        "import sys; from fintts_trainer.processes.launcher import *\n"
        "sys.exit(ProcessGroup(ProcessLayout(processes=2), "
        f"[sys.executable, {str(tmp_path / 'worker.py')!r}])"
        ".run().exit_code)"
    )
    launcher = subprocess.Popen([sys.executable, "-c", lead])
    for rank in range(2):
        while not (tmp_path / f"ready-{rank}").exists():
            assert launcher.poll() is None
            time.sleep(0.01)
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait() == 75
