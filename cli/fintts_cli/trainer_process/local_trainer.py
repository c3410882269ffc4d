"""The trainer as a child process of this terminal: it gets each signal once, and ends before this
process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from fintts_cli.errors import CheckFailed, UsageProblem
from fintts_store.disk.errors import explained

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import FrameType

    from fintts_inputs.config import LoraConfig

TRAINER = (sys.executable, "-P", "-m", "fintts_trainer")
FORWARDED = {
    signal.SIGINT: signal.SIGINT,
    signal.SIGTERM: signal.SIGTERM,
    signal.SIGHUP: signal.SIGTERM,
}
"""A closed terminal ends the run like Ctrl-C: the trainer saves. Under `nohup` it continues."""


class TrainerOutput(BaseModel):
    """The output of `python -m fintts_trainer merge` and `… import-lora` on stdout."""

    done: int = 0
    error: str | None = None
    hint: str = ""


def require_eval() -> None:
    """Raises UsageProblem if the packages that measure samples are not installed."""
    if any(find_spec(package) is None for package in ("jiwer", "num2words", "onnxruntime", "soxr")):
        raise UsageProblem(
            "the packages that measure samples are not installed",
            "pip install 'fintts[trainer,eval]', or leave `eval` out",
        )


def require_trainer() -> None:
    """Raises UsageProblem if the trainer's packages are not installed."""
    if any(find_spec(package) is None for package in ("torch", "peft", "accelerate")):
        raise UsageProblem(
            "the trainer's packages are not installed", "pip install 'fintts[trainer]'"
        )


def run_trainer(environment: Mapping[str, str]) -> int:
    """Runs `python -m fintts_trainer run` with this terminal's output; returns its exit code.

    A signal reaches the trainer once: it takes a second Ctrl-C as an order not to save.
    """
    children: list[subprocess.Popen[bytes]] = []
    early: list[signal.Signals] = []

    def forward(number: int, _frame: FrameType | None) -> None:
        early.append(FORWARDED[signal.Signals(number)])
        for child in children:
            child.send_signal(early.pop())

    # Before the child exists: from its first moment on, no signal may end this process without it.
    heard = [number for number in FORWARDED if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, forward) for number in heard}
    try:
        child = start_trainer("run", environment=environment)
        children.append(child)
        for number in early:
            child.send_signal(number)
        return child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_trainer_quietly(environment: Mapping[str, str], log: Path) -> int:
    """Runs the trainer to its end, with its output in the file `log`; returns its exit code.

    Ctrl-C ends it, and nothing is saved.

    Raises:
        StoreError: the log cannot be written.
    """
    with explained(log), log.open("wb") as output:
        child = start_trainer(
            "run", environment=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            return child.wait()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()


def start_trainer(
    *arguments: str | Path,
    environment: Mapping[str, str],
    stdout: int | IO[bytes] | None = None,
    stderr: int | None = None,
) -> subprocess.Popen[bytes]:
    """Starts the trainer in its own process group, with signals blocked until it can handle them.

    Otherwise Ctrl-C would reach it twice, from the terminal and from here, and a Python that is
    interrupted during its imports ends with a traceback.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED.values())
    try:
        return subprocess.Popen(
            [*TRAINER, *map(str, arguments)],
            env=os.environ | environment,
            stdout=stdout,
            stderr=stderr,
            process_group=0,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def merge(base_model: Path, adapter: Path, target: Path) -> None:
    """Lets the trainer write the base model's weights with the adapter merged into them.

    Raises:
        CheckFailed: model and adapter do not fit together, or the disk is full.
    """
    _ask("merge", "--base", base_model, "--adapter", adapter, "--to", target)


def import_lora(base_model: Path, checkpoint: Path, lora: LoraConfig, target: Path) -> None:
    """Lets the trainer write a LoRA from Fish Speech's trainer as PEFT files.

    Raises:
        CheckFailed: the file is not such a LoRA, or does not fit base model and `lora`.
    """
    section = lora.model_dump_json()
    _ask(
        "import-lora",
        *("--base", base_model, "--checkpoint", checkpoint, "--lora", section, "--to", target),
    )


def _ask(command: str, *arguments: str | Path) -> None:
    done = subprocess.run(
        [*TRAINER, command, *map(str, arguments)],
        stdout=subprocess.PIPE,
        check=False,
    )
    try:
        answer = TrainerOutput.model_validate_json(done.stdout)
    except ValidationError:
        raise CheckFailed(
            f"the trainer's {command} failed with exit code {done.returncode}",
            "its output above says why",
        ) from None
    if answer.error is not None:
        raise CheckFailed(answer.error, answer.hint)
