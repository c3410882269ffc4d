"""How many processes a run has, and what their ends mean for it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fintts_trainer.errors import BadTeam
from fintts_trainer.processes.launcher import Crew, Ending, Team, ending_of

KILL, TERM = -signal.SIGKILL, -signal.SIGTERM
PAIR = Team(processes=2)


@pytest.mark.parametrize(
    ("environment", "team"),
    [
        ({}, Team(1, 1, 0)),
        ({"SKYPILOT_NUM_GPUS_PER_NODE": "0"}, Team(1, 1, 0)),
        ({"SKYPILOT_NUM_GPUS_PER_NODE": "8"}, Team(8, 1, 0)),
        ({"SKYPILOT_NUM_GPUS_PER_NODE": "8", "FINTTS_PROCESSES": "2"}, Team(2, 1, 0)),
        (
            {
                "SKYPILOT_NUM_GPUS_PER_NODE": "4",
                "SKYPILOT_NUM_NODES": "3",
                "SKYPILOT_NODE_RANK": "2",
                "SKYPILOT_NODE_IPS": "10.0.0.7\n10.0.0.8\n10.0.0.9\n",
            },
            Team(4, 3, 2, "10.0.0.7"),
        ),
    ],
)
def test_the_team_is_as_skypilot_says(environment: dict[str, str], team: Team) -> None:
    assert Team.from_environment(environment) == team


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"FINTTS_PROCESSES": "0"}, "0 processes on machine 0 of 1 cannot be started"),
        ({"FINTTS_PROCESSES": "two"}, "FINTTS_PROCESSES is 'two', but has to be a number"),
        ({"SKYPILOT_NODE_RANK": "-1"}, "SKYPILOT_NODE_RANK is '-1'"),
        ({"SKYPILOT_NUM_NODES": "2", "SKYPILOT_NODE_RANK": "2"}, "machine 2 of 2"),
    ],
)
def test_a_team_that_cannot_be_is_refused(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadTeam, match=sentence):
        Team.from_environment(environment)


def test_every_process_of_all_machines_has_a_rank_of_its_own() -> None:
    teams = [Team(4, 3, node, "10.0.0.7") for node in range(3)]
    ranks = [int(t.environment_of(n, "1")["RANK"]) for t in teams for n in range(4)]
    assert ranks == list(range(12))
    assert {t.environment_of(0, "1")["WORLD_SIZE"] for t in teams} == {"12"}
    assert [t.has_first for t in teams] == [True, False, False]


@pytest.mark.parametrize(
    ("codes", "noticed", "ending"),
    [
        ({0: 0, 1: 0}, None, Ending(0)),
        ({0: 75, 1: 0}, signal.SIGTERM, Ending(75)),
        ({0: 75, 1: 0}, signal.SIGINT, Ending(130)),
        ({0: TERM, 1: TERM}, signal.SIGTERM, Ending(75)),  # before they could listen
        ({0: 5, 1: 76}, None, Ending(5)),  # the first one says why by itself
        ({0: 76, 1: 1}, None, Ending(1, "process 1 of 2 failed; the log says why")),
        ({0: 76, 1: -signal.SIGSEGV}, None, Ending(1, "process 1 of 2 was ended by SIGSEGV")),
        (
            {0: 76, 1: KILL},
            None,
            Ending(1, "process 1 of 2 was ended by SIGKILL, perhaps for want of memory"),
        ),
        ({0: TERM, 1: 76}, None, Ending(1, "process 0 of 2 was ended by SIGTERM")),
        ({0: 76, 1: 76}, None, Ending(1, "a process of this run on another machine has ended")),
    ],
)
def test_the_end_of_the_run_is_that_of_the_process_that_is_the_reason(
    codes: dict[int, int], noticed: int | None, ending: Ending
) -> None:
    assert ending_of(PAIR, codes, noticed) == ending


def crew(tmp_path: Path, script: str) -> Crew:
    """Two processes that know their rank, and leave their process ids."""
    path = tmp_path / "worker.py"
    path.write_text(
        "import os, signal, sys, time\nfrom pathlib import Path\nrank = int(os.environ['RANK'])\n"
        f"Path({str(tmp_path)!r}, f'pid-{{rank}}').write_text(str(os.getpid()))\n{script}\n"
    )
    return Crew(PAIR, [sys.executable, str(path)])


def test_one_that_hangs_when_another_has_failed_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fintts_trainer.processes.launcher.EXPLAIN_SECONDS", 0.3)
    hangs = "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600) if rank == 0 else 0"
    working = crew(tmp_path, f"{hangs}\nsys.exit(1)")
    assert working.work() == Ending(1, "process 1 of 2 failed; the log says why")
    assert not Path(f"/proc/{(tmp_path / 'pid-0').read_text()}").exists()


def test_the_first_one_is_given_the_time_that_it_needs_to_save(tmp_path: Path) -> None:
    assert crew(tmp_path, "time.sleep(1) if rank == 0 else 0").work() == Ending(0)


def test_a_signal_reaches_all_of_them(tmp_path: Path) -> None:
    working = (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75 if rank == 0 else 0))\n"
        f"Path({str(tmp_path)!r}, f'ready-{{rank}}').touch()\ntime.sleep(600)"
    )
    crew(tmp_path, working)  # writes the script
    lead = (
        "import sys; from fintts_trainer.processes.launcher import *\n"
        f"sys.exit(Crew(Team(processes=2), [sys.executable, {str(tmp_path / 'worker.py')!r}])"
        ".work().exit_code)"
    )
    launcher = subprocess.Popen([sys.executable, "-c", lead])
    for rank in range(2):
        while not (tmp_path / f"ready-{rank}").exists():
            assert launcher.poll() is None
            time.sleep(0.01)
    launcher.send_signal(signal.SIGTERM)
    assert launcher.wait(timeout=30) == 75
