"""The packed data set of a run, which encoding and samples share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from fintts_inputs.data.pack import read_pack
from fintts_trainer.processes.hang_limits import LEAST_SECONDS
from fintts_trainer.session.job import fetch_dataset

if TYPE_CHECKING:
    from fintts_inputs.data.pack import Pack
    from fintts_store.runs.run_record import RunRecord
    from fintts_trainer.processes.progress import ProgressFile
    from fintts_trainer.session.job import Job


class PackOfRun:
    """Fetched and verified when it is first needed, and only once."""

    def __init__(self, job: Job, record: RunRecord, progress: ProgressFile) -> None:
        self._job, self._record, self._progress = job, record, progress

    @cached_property
    def pack(self) -> Pack:
        """The data set.

        Raises:
            DataProblem, StoreError: it is damaged, or cannot be fetched.
        """
        self._progress.begin("fetching the data", LEAST_SECONDS, "setup")
        return read_pack(fetch_dataset(self._job, self._record, self._progress.sign))
