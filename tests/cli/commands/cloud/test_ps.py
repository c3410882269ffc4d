"""What `ps` says of instances that live here for runs of another store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from cli_project import write_project
from command_line import invoke
from fintts_cli.commands.cloud.ps import tell_of
from fintts_cli.commands.opening import open_workplace
from fintts_cli.infra import InstancePhase, InstanceState
from fintts_cli.runs.journal import JournalEntry
from fintts_cli.terminal.terminal import Terminal
from fintts_store.backends.directory import DirectoryStore
from fintts_store.runs.runs import create_run
from run_samples import record


@pytest.mark.parametrize("is_there", [True, False])
def test_a_healthy_run_of_another_store_is_not_to_be_ended(
    own_folder: Path, capsys: pytest.CaptureFixture[str], *, is_there: bool
) -> None:
    other, now = DirectoryStore(write_project(own_folder) / "other"), datetime.now(UTC)
    if is_there:
        create_run(other, record(run="mine"))
    open_workplace().journal.write(
        JournalEntry(
            run="mine",
            infra="local",
            store=other.url,
            requested_at=now,
            deadline_at=now + timedelta(hours=1),
            rates_usd={"A100-80GB:1": Decimal("1.20")},
        )
    )
    tell_of(Terminal(), open_workplace(), InstanceState("mine", InstancePhase.RUNNING, "here", now))
    said = capsys.readouterr().err
    assert ("cloud down" in said) is not is_there
    assert (f"cloud ps --store {other.url}" in said) is is_there


def test_a_store_that_is_not_there_is_said(own_folder: Path) -> None:
    missing, there = own_folder / "nope" / "nope", own_folder / "there"
    there.mkdir()
    shown = invoke(["cloud", "ps", "--store", str(missing)])
    assert shown.exit_code == 0, shown.output
    said = f"there is no folder {missing}; a launch makes it"
    assert said in " ".join(shown.stderr.split())
    assert not missing.exists()
    other = invoke(["cloud", "ps", "--store", str(there)])
    assert "there is no folder" not in other.stderr
