"""`conclude` writes what a trainer that was killed could not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_trainer.processes.layout import is_first_machine
from fintts_trainer.session.conclude import conclude, keep_log, notify_end, notify_store_failed
from fintts_trainer.session.exit_codes import DONE, STORE_FAILED
from fintts_trainer.session.job import Job

if TYPE_CHECKING:
    from argparse import Namespace


def run(options: Namespace) -> int:
    """Writes result.json if it is missing, sends the notification of the end, and keeps the log.
    If the run has several machines, only the first one does."""
    job = Job.from_environment()
    if not is_first_machine():
        return DONE
    if options.exit_code == STORE_FAILED:
        notify_store_failed(job)  # first: the store may not answer
    result = conclude(job, options.exit_code)
    if result is not None:
        notify_end(job, result)
    log = os.environ.get("FINTTS_LOG")
    if log is not None:
        keep_log(job, Path(log))
    return DONE
