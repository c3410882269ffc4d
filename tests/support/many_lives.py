"""`python many_lives.py TARGET…`: trains the run that the environment names, life after life.

Each life but the last is a process of its own that is ended by SIGKILL at a random moment in the
step after its TARGET. They are forked from one process that has imported torch, which takes
seconds: what a life does from then on is all that the instance's process does.
"""

from __future__ import annotations

import mmap
import os
import random
import signal
import struct
import sys
import time
from typing import TYPE_CHECKING

from fintts_trainer.__main__ import main
from fintts_trainer.loop import step as step_module

if TYPE_CHECKING:
    from fintts_trainer.loop.step_queue import FinishedStep
    from fintts_trainer.loop.training import Training

LONGEST_WAIT_SECONDS = 300.0
A_STEP_SECONDS = 0.05
"""a step of the tiny model with its save; the kill comes within it, or a little after"""


def live(shared: mmap.mmap) -> None:
    """Trains in this process, and leaves in shared memory which step it is at."""
    log_step = step_module.log_step

    def told(training: Training, step: FinishedStep) -> None:
        shared[:8] = struct.pack("q", training.state.step)
        log_step(training, step)

    step_module.log_step = told
    os._exit(main(["work"]))


def fork(shared: mmap.mmap) -> int:
    shared[:8] = struct.pack("q", 0)
    process = os.fork()
    if process == 0:
        live(shared)
    return process


def lose_at(shared: mmap.mmap, target: int, moment: float) -> None:
    """One life that ends some time after the target step."""
    process = fork(shared)
    end = time.monotonic() + LONGEST_WAIT_SECONDS
    while struct.unpack("q", shared[:8])[0] < target:
        if time.monotonic() > end or os.waitpid(process, os.WNOHANG)[0]:
            raise RuntimeError(f"step {target} never came")
        time.sleep(0.001)
    time.sleep(moment)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError(f"the life after step {target} had ended before it was killed")


def work(targets: list[int]) -> int:
    shared = mmap.mmap(-1, 8)
    generator = random.Random(20)
    for target in targets:
        lose_at(shared, target, generator.uniform(0, A_STEP_SECONDS))
    _, status = os.waitpid(fork(shared), 0)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(work([int(text) for text in sys.argv[1:]]))
