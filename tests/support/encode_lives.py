"""`python encode_lives.py PLAN KILLS`: encodes a plan, and prints how many lives were killed.

Each life but the last is a process that is ended by SIGKILL: while it encodes, or after some
utterance more is done, each at a random moment. They are forked from one process that has imported
torch, which takes seconds.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

from fintts_inputs.recordings.plan import EncodePlan
from fintts_inputs.recordings.receipts import JOURNAL
from fintts_trainer.recordings.encode import encode_plan

LONGEST_SECONDS = 300.0
A_FILE_SECONDS = 0.02
"""about what writing codes, text and receipt takes"""


def live(plan: EncodePlan) -> int:
    process = os.fork()
    if process == 0:
        encode_plan(plan, lambda _progress: None)
        os._exit(0)
    return process


def done(folder: Path) -> int:
    """Receipts, the first line being of the whole."""
    journal = folder / JOURNAL
    return journal.read_bytes().count(b"\n") - 1 if journal.exists() else 0


def is_over(process: int) -> bool:
    return os.waitpid(process, os.WNOHANG)[0] != 0


def kill_after(plan: EncodePlan, more: int, moment: float) -> bool:
    """One life that ends some time after so many utterances more are done; whether it was killed,
    and had not ended by itself."""
    target = done(plan.to) + more
    process, end = live(plan), time.monotonic() + LONGEST_SECONDS
    while done(plan.to) < target and time.monotonic() < end:
        if is_over(process):
            return False
        time.sleep(0.001)
    time.sleep(moment)
    if is_over(process):
        return False
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


def work(plan: EncodePlan, kills: int) -> int:
    generator, killed = random.Random(21), 0
    for number in range(kills):
        is_early = number % 2 == 0
        more = 0 if is_early else generator.randint(1, 2 * len(plan.utterances) // (3 * kills) + 1)
        moment = generator.uniform(0, 1.0 if is_early else A_FILE_SECONDS)
        killed += kill_after(plan, more, moment)
    _, status = os.waitpid(live(plan), 0)
    sys.stdout.write(f"{killed}\n")
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    sys.exit(work(EncodePlan.model_validate_json(text), int(sys.argv[2])))
