"""The instance's entry: `python -m fintts_trainer run`, then `… conclude --exit-code N`.

On the laptop `fintts export` calls `… merge`, a run that begins with a LoRA of Fish Speech's
trainer `… import-lora`, and `fintts data encode` `… encode`.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from fintts_cost.errors import CostError
from fintts_inputs.errors import InputError
from fintts_inputs.hang_factor import factor_or_default
from fintts_inputs.quick_imports import quick_imports
from fintts_store.checkpoints.uploader import is_uploading
from fintts_store.errors import StoreError
from fintts_store.layout import traceback_key
from fintts_store.opening import open_store
from fintts_store.redaction import clean_logs, without_secrets
from fintts_store.streams import take_over
from fintts_store.visible import visible
from fintts_trainer.errors import PeerLost, TrainerError
from fintts_trainer.processes.launcher import Crew, Team, is_first_machine, trainer_command
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

if TYPE_CHECKING:
    from types import FrameType


def main(arguments: list[str] | None = None) -> int:
    """Exit codes: 0 ended well, 1 failed, 5 the store, 75 preempted (another job goes on), 130
    Ctrl-C.

    A process of several that lost another one ends with 76, which only the launcher sees.
    """
    options = _parser().parse_args(arguments)
    clean_logs()  # they go into the store
    try:
        # `fintts train` starts it with these blocked, so that its imports are not interrupted.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGTERM))
        return _do(options)
    except (InputError, TrainerError, CostError, StoreError) as error:
        return _complain(error.message, error.hint, _exit_code(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # our fault: the traceback is kept, a sentence is shown
        return _complain(*_unforeseen(error), FAILED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fintts_trainer", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="train the run that the environment names, and watch over it")
    commands.add_parser("work", help="one process of the run, which `run` starts")
    last = commands.add_parser("conclude", help="write result.json if the trainer could not")
    last.add_argument("--exit-code", type=int, required=True, metavar="N")
    merge = commands.add_parser("merge", help="write a base model with an adapter folded into it")
    for name in ("--base", "--adapter", "--to"):
        merge.add_argument(name, type=Path, required=True, metavar="DIR")
    lora = commands.add_parser("import-lora", help="turn a .ckpt of Fish Speech into PEFT's files")
    for name in ("--base", "--checkpoint", "--to"):
        lora.add_argument(name, type=Path, required=True, metavar="PATH")
    lora.add_argument("--lora", required=True, metavar="JSON", help="the run's lora section")
    encode = commands.add_parser("encode", help="turn recordings into codes, by a plan")
    encode.add_argument("--plan", type=Path, required=True, metavar="FILE")
    return parser


def _do(options: argparse.Namespace) -> int:
    if options.command == "merge":
        return _merge(options.base, options.adapter, options.to)
    if options.command == "import-lora":
        return _import_lora(options.base, options.checkpoint, options.lora, options.to)
    if options.command == "encode":
        return _encode(options.plan)
    job = Job.from_environment()
    if options.command == "conclude":
        return _conclude(job, options.exit_code) if is_first_machine() else DONE
    if options.command == "work" or "RANK" in os.environ:
        return _run(job)
    return _lead(job, Team.from_environment())


def _exit_code(error: Exception) -> int:
    if isinstance(error, PeerLost):
        return PEER_LOST
    return STORE_FAILED if isinstance(error, StoreError) else FAILED


def _unforeseen(error: Exception) -> tuple[str, str]:
    """A sentence about an unexpected error, and where to find its traceback."""
    if type(error).__name__ == "OutOfMemoryError":
        more = "set training.tokens_per_micro_batch: the same steps in smaller pieces"
        return "the accelerator's memory is too small for this batch", more
    return f"{type(error).__name__}: {error}", f"please report this, with {_keep(error)}"


def _keep(error: Exception) -> str:
    """Writes the traceback into the store, which stays after the instance; returns its place."""
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
    faulthandler.register(signal.SIGUSR1)  # its watchdog asks where it is before it ends it
    # Files from the store must not make this process open connections to Hugging Face.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # It warns of its own defaults for CSM; our checks report what is wrong with a folder.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from fintts_store.runs.records import StopReason
    from fintts_trainer.session.preemption import Preemption

    preemption = Preemption()
    preemption.watch()  # first: what follows takes seconds to import
    with quick_imports():
        from fintts_trainer.train import train

    result = train(job, preemption)
    preemption.settle()
    if os.environ.get("RANK", "0") != "0":
        return DONE  # the first process writes the result, and may still be saving
    if result is None:
        return INTERRUPTED if preemption.signal == signal.SIGINT else PREEMPTED
    return FAILED if result.stop_reason == StopReason.NAN_LOSS else DONE


def _lead(job: Job, team: Team) -> int:
    """The run on this machine, in as many processes as it is to have, and a watchdog over them."""
    job.forget_trouble()
    signal.signal(signal.SIGTERM, _pass_over)
    factor = factor_or_default(_warn, os.environ)
    crew = Crew(team, trainer_command(), job.workspace / FOLDER, factor)
    ending = crew.work()
    # Python takes its handlers away while it ends, and `timeout` signals twice.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if ending.trouble is None:
        return ending.exit_code
    job.remember_trouble(ending.trouble)
    more = "start the run again: it goes on from the newest committed checkpoint, if any"
    goes_on_elsewhere = crew.hang is not None and job.on_spot
    return _complain(ending.trouble, more, PREEMPTED if goes_on_elsewhere else ending.exit_code)


def _pass_over(_number: int, _frame: FrameType | None) -> None:
    """Before and after its processes work, a signal has nothing to stop."""


def _merge(base: Path, adapter: Path, target: Path) -> int:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with quick_imports():
        from fintts_trainer.export import answer, merge_folders

    return answer(lambda: merge_folders(base, adapter, target))


def _import_lora(base: Path, checkpoint: Path, lora: str, target: Path) -> int:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with quick_imports():
        from fintts_inputs.config import LoraConfig
        from fintts_trainer.export import answer, import_lora

    config = LoraConfig.model_validate_json(lora)
    return answer(lambda: import_lora(base, checkpoint, config, target))


def _encode(plan: Path) -> int:
    end_with_parent()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    with quick_imports():
        from fintts_trainer.recordings.encode import answer_plan

    return answer_plan(plan)


def _conclude(job: Job, exit_code: int) -> int:
    from fintts_trainer.session.conclude import conclude, keep_log

    conclude(job, exit_code)
    log = os.environ.get("FINTTS_LOG")
    if log is not None:
        keep_log(job, Path(log))
    return 0


def _complain(message: str, hint: str, exit_code: int) -> int:
    text = f"error: {message}\n" + (f"\nhint: {hint}\n" if hint else "")
    sys.stderr.write(visible(text))
    return exit_code


def _warn(sentence: str) -> None:
    sys.stderr.write(visible(f"warning: {sentence}\n"))


def end(exit_code: int) -> NoReturn:
    """Ends this process, and does not wait for an upload that was given up: Python would, until the
    store has taken it, for boto3 uploads in threads that are joined at the end."""
    if is_uploading():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)
    sys.exit(exit_code)


if __name__ == "__main__":
    take_over()  # training goes on when the reader of its log is gone
    end(main())
