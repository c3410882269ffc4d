"""The commands of the trainer.

An instance runs `python -m fintts_trainer run`, then `… conclude --exit-code N`. On the laptop,
`fintts export` runs `… merge`, the launch of a run that starts from a LoRA of Fish Speech's trainer
runs `… import-lora`, `fintts data encode` runs `… encode`, and `fintts speak` runs `… speak`.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from fintts_cost.errors import CostError
from fintts_inputs.errors import InputError
from fintts_inputs.hang_factor import factor_or_default
from fintts_inputs.quick_imports import quick_imports
from fintts_store.checkpoints.uploader import is_uploading
from fintts_store.errors import StoreError
from fintts_store.layout import traceback_key
from fintts_store.opening import open_store
from fintts_store.output.redaction import clean_logs, without_secrets
from fintts_store.output.streams import take_over
from fintts_store.output.visible import visible
from fintts_trainer.errors import PeerLost, TrainerError
from fintts_trainer.processes.launcher import ProcessGroup, trainer_command
from fintts_trainer.processes.layout import ProcessLayout
from fintts_trainer.processes.parent import end_with_parent
from fintts_trainer.processes.progress import FOLDER
from fintts_trainer.session.exit_codes import (
    DONE,
    FAILED,
    INTERRUPTED,
    PEER_LOST,
    PREEMPTED,
    STORE_FAILED,
)
from fintts_trainer.session.job import Job
from fintts_trainer.session.preemption import Preemption

if TYPE_CHECKING:
    from types import FrameType

    from fintts_store.runs.records import Result

LOADED_LATE = {
    "conclude": "conclude",
    "merge": "merge",
    "import-lora": "import_lora",
    "encode": "encode",
    "speak": "speak",
}
"""command → its module in `commands`"""
ANSWERING = ("encode", "speak")
"""commands of a child process whose answers its parent reads"""


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns its exit code.

    0 success, 1 failure, 5 the store failed, 75 preempted (another job continues), 130 Ctrl-C. A
    process that lost another process of its run returns 76, which only the launcher sees.
    """
    options = _parser().parse_args(arguments)
    clean_logs()  # the store keeps the logs
    try:
        # `fintts train` blocks these, so that they do not interrupt the imports.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
        return _do(options)
    except (InputError, TrainerError, CostError, StoreError) as error:
        return _complain(error.message, error.hint, _exit_code(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # a bug: keep the traceback, show a sentence
        return _complain(*_unforeseen(error), FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fintts_trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="train the run that the environment names")
    commands.add_parser("work", help="one process of the run; `run` starts it")
    last = commands.add_parser("conclude", help="write result.json if the trainer could not")
    last.add_argument("--exit-code", type=int, required=True, metavar="N")
    merge = commands.add_parser("merge", help="merge an adapter into a base model")
    for name in ("--base", "--adapter", "--to"):
        merge.add_argument(name, type=Path, required=True, metavar="DIR")
    lora = commands.add_parser("import-lora", help="convert a .ckpt of Fish Speech to PEFT's files")
    for name in ("--base", "--checkpoint", "--to"):
        lora.add_argument(name, type=Path, required=True, metavar="PATH")
    lora.add_argument("--lora", required=True, metavar="JSON", help="the run's lora section")
    encode = commands.add_parser("encode", help="turn recordings into codes, by a plan")
    encode.add_argument("--plan", type=Path, required=True, metavar="FILE")
    speak = commands.add_parser("speak", help="speak a text, by a plan")
    speak.add_argument("--plan", type=Path, required=True, metavar="FILE")
    return parser


def _do(options: argparse.Namespace) -> int:
    if options.command in LOADED_LATE:
        return _do_late(options)
    job = Job.from_environment()
    if options.command == "work" or "RANK" in os.environ:
        return _run(job)
    return _lead(job, ProcessLayout.from_environment())


def _exit_code(error: Exception) -> int:
    if isinstance(error, PeerLost):
        return PEER_LOST
    return STORE_FAILED if isinstance(error, StoreError) else FAILED


def _unforeseen(error: Exception) -> tuple[str, str]:
    """A sentence about an unexpected error, and where to find its traceback."""
    if type(error).__name__ == "OutOfMemoryError":
        more = "set training.tokens_per_micro_batch, which splits a step without changing it"
        return "the accelerator's memory is too small for this batch", more
    return f"{type(error).__name__}: {error}", f"please report this, with {_keep(error)}"


def _keep(error: Exception) -> str:
    """Writes the traceback into the store, which outlives the instance; returns its URL, or the
    traceback if the store fails."""
    text = without_secrets("".join(traceback.format_exception(error)))
    run, url = os.environ.get("FINTTS_RUN", ""), os.environ.get("FINTTS_STORE", "")
    try:
        store, key = open_store(url), traceback_key(run)
        store.put(key, text.encode())
    except StoreError:
        return f"this:\n{text}"
    return f"{store.url}/{key}"


def _run(job: Job) -> int:
    end_with_parent()
    faulthandler.register(signal.SIGUSR1)  # the watchdog asks for a traceback before a kill
    _prepare_libraries()
    preemption = Preemption()
    preemption.install_handlers()  # first: the import takes seconds
    result: Result | None = _loaded("fintts_trainer.train").train(job, preemption)
    preemption.ignore_sigterm()
    if os.environ.get("RANK", "0") != "0":
        return DONE  # the first process writes the result, and may still be saving
    if result is None:
        return INTERRUPTED if preemption.signal == signal.SIGINT else PREEMPTED
    return FAILED if result.stop_reason.is_failure else DONE


def _lead(job: Job, layout: ProcessLayout) -> int:
    """Runs this machine's processes of the run under a watchdog; returns the exit code."""
    job.forget_trouble()
    signal.signal(signal.SIGTERM, _ignore)
    factor = factor_or_default(_warn, os.environ)
    group = ProcessGroup(layout, trainer_command(), job.workspace / FOLDER, factor)
    ending = group.run()
    # Python removes its handlers while it exits, and `timeout` signals twice.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if ending.trouble is None:
        return ending.exit_code
    job.remember_trouble(ending.trouble)
    more = "start the run again: it resumes from the newest committed checkpoint, if any"
    goes_on_elsewhere = group.hang is not None and job.on_spot
    return _complain(ending.trouble, more, PREEMPTED if goes_on_elsewhere else ending.exit_code)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """A signal before or after the processes run has nothing to stop."""


def _do_late(options: argparse.Namespace) -> int:
    """Runs a command with a module of its own, which is imported only now."""
    if options.command in ANSWERING:
        end_with_parent()
    _prepare_libraries()
    module = _loaded(f"fintts_trainer.commands.{LOADED_LATE[options.command]}")
    exit_code: int = module.run(options)
    return exit_code


def _prepare_libraries() -> None:
    """Keeps Hugging Face's libraries offline and quiet, and torch from wasting a GPU's memory."""
    # Files from the store must not make this process open connections to Hugging Face.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # transformers warns of its own defaults for CSM; our own checks report a bad folder.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # Batches of many widths leave gaps between blocks of fixed size; torch reads this on import.
    if "PYTORCH_CUDA_ALLOC_CONF" not in os.environ:
        os.environ.setdefault("PYTORCH_ALLOC_CONF", "expandable_segments:True")


def _loaded(module: str) -> Any:
    """A module that takes seconds to import."""
    with quick_imports():
        return import_module(module)


def _complain(message: str, hint: str, exit_code: int) -> int:
    text = f"error: {message}\n" + (f"\nhint: {hint}\n" if hint else "")
    sys.stderr.write(visible(text))
    return exit_code


def _warn(sentence: str) -> None:
    sys.stderr.write(visible(f"warning: {sentence}\n"))


def end(exit_code: int) -> NoReturn:
    """Ends this process without waiting for an abandoned upload: Python would join boto3's upload
    threads, until the store has taken everything."""
    if is_uploading():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
    sys.exit(exit_code)


if __name__ == "__main__":
    take_over()  # training continues when the reader of its log is gone
    end(main())
