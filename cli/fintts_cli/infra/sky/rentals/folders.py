"""The folders STATE/sky/RUN/ of this machine: the task of a run, SkyPilot's output, and the record
of when its instance came and went."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.launch.asked_task import read_task
from fintts_cli.infra.sky.rentals.record import (
    RECORD_FILE,
    WORKDIR,
    SkyRecord,
    read_record,
    write_record,
)
from fintts_cli.infra.sky.server.errors import ANSI
from fintts_cli.workplace.state_folder import SKY_FOLDER, SKY_LOG
from fintts_store.disk.durable import write_file
from fintts_store.disk.reading import read_end
from fintts_store.errors import InvalidRecord
from fintts_store.layout import check_run_name
from fintts_store.runs.limits import LOG_BYTES

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

TASK_FILE = "task.yaml"


class RunFolders:
    """The folders below the state folder, one for each run that was requested here."""

    def __init__(self, state_folder: Path) -> None:
        self.root = state_folder / SKY_FOLDER

    @property
    def log(self) -> Path:
        """SkyPilot's output where it is about no run."""
        return self.root / SKY_LOG

    def folder(self, run: str) -> Path:
        """The folder of a run, which may not exist."""
        return self.root / check_run_name(run)

    def log_of(self, run: str) -> Path:
        """SkyPilot's output about a run."""
        return self.folder(run) / SKY_LOG

    def log_size(self, run: str) -> int:
        """Bytes of that output so far."""
        log = self.log_of(run)
        return log.stat().st_size if log.exists() else 0

    def said_since(self, run: str, size_bytes: int) -> str:
        """What was added to that output, which grows with every launch and every tail of a run."""
        content = read_end(self.log_of(run), LOG_BYTES, size_bytes)
        return ANSI.sub("", content.decode(errors="replace"))

    def note(self, run: str, sentence: str) -> None:
        """Adds a line of our own to that output."""
        with self.log_of(run).open("a", encoding="utf-8") as file:
            file.write(f"fintts: {sentence}\n")

    def runs(self) -> list[str]:
        """The names of all runs with a record."""
        folders = sorted(self.root.iterdir()) if self.root.is_dir() else []
        return [folder.name for folder in folders if (folder / RECORD_FILE).is_file()]

    def records(self) -> list[SkyRecord]:
        """The records that can be read."""
        found: list[SkyRecord] = []
        for run in self.runs():
            with suppress(InvalidRecord):
                found += [one for one in [self.find(run)] if one is not None]
        return found

    def find(self, run: str) -> SkyRecord | None:
        """A run's record; None if there is none.

        Raises:
            InvalidRecord: it is damaged.
        """
        return read_record(self.folder(run))

    def read(self, run: str) -> SkyRecord | None:
        """The same.

        Raises:
            CloudError: the record is damaged, so this machine does not know what it requested.
        """
        try:
            return self.find(run)
        except InvalidRecord as error:
            raise CloudError(
                error.message, f"`fintts cloud down {run}` finds its instance by its name"
            ) from error

    def begin(self, record: SkyRecord, task_yaml: str) -> None:
        """Writes task and record, before anything is requested."""
        write_file(self.folder(record.run) / TASK_FILE, task_yaml.encode())
        self.write(record)

    def write(self, record: SkyRecord) -> None:
        """Replaces a run's record."""
        write_record(self.folder(record.run), record)

    def write_gone(self, record: SkyRecord, ended_at: datetime | None) -> SkyRecord:
        """Records that the instance is gone, and removes what was made for it."""
        gone = record.model_copy(update={"is_gone": True, "ended_at": ended_at})
        self.write(gone)
        shutil.rmtree(self.folder(record.run) / WORKDIR, ignore_errors=True)
        return gone

    def last_deadline(self, run: str) -> datetime | None:
        """The deadline of this machine's last launch of the run, as far as its task can be read."""
        with suppress(Exception):  # may be any kind of error: the record next to it is damaged, too
            text = (self.folder(run) / TASK_FILE).read_text(encoding="utf-8")
            return read_task(text).deadline_at
        return None
