"""`fintts cloud reap`: what has no reason to live is named and removed, and nothing else."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from cli_project import write_project
from command_line import invoke
from fintts_cli.commands.cloud import reap as reap_command
from fintts_cli.commands.opening import open_workplace
from fintts_cli.errors import CloudError
from fintts_cli.infra import Census, Holder, Sighting
from fintts_cli.runs.journal import JournalEntry
from fintts_cli.runs.reap import search as reap_module
from fintts_cli.runs.reap.facts import read_facts
from fintts_cli.runs.reap.judgement import (
    ENDS_WITHIN,
    Judgement,
    RunFacts,
    is_of,
    judge,
)
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.workplace.equipment import Equipment
from fintts_cli.workplace.workplace import Workplace
from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.runs.end_run import end_run
from fintts_store.runs.laptop import Laptop
from fintts_store.runs.ledger import take_launch
from fintts_store.runs.records import StopReason
from fintts_store.runs.runs import create_run, read_result, write_status
from ledger_samples import asked
from run_samples import record, result, status
from silent_server import KINDS, silent_server

LOOK = reap_module.look_everywhere
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEADLINE = NOW + HOUR


class Clouds:
    """An infra with a census that a test writes, and what was removed there."""

    def __init__(self) -> None:
        self.sightings: list[Sighting] = []
        self.unanswered: tuple[str, ...] = ()
        self.removed: list[str] = []
        self.stuck: set[str] = set()

    def census(self) -> Census:
        return Census(tuple(self.sightings), self.unanswered, ("of gcp nothing is seen",))

    def remove(self, sighting: Sighting) -> None:
        if sighting.where in self.stuck:
            raise CloudError(f"{sighting.where} could not be removed, and may be billing")
        self.removed.append(sighting.where)
        self.sightings.remove(sighting)


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is NOW, however long ago this file was read."""
    look = reap_module.look_everywhere
    waited = list[float]()
    monkeypatch.setattr(
        reap_command,
        "look_everywhere",
        lambda here, store, _now: look(here, store, NOW, waited.append),
    )


@pytest.fixture
def clouds(monkeypatch: pytest.MonkeyPatch) -> Clouds:
    """SkyPilot's; this machine's own instances are looked for as well."""
    clouds, real = Clouds(), Workplace.infra
    monkeypatch.setattr(Workplace, "infra", lambda here, name: real(here, name) if name else clouds)
    return clouds


@pytest.fixture
def store(own_folder: Path) -> DirectoryStore:
    return DirectoryStore(write_project(own_folder) / "store")


def seen(run: str = "mine", deadline_at: datetime | None = DEADLINE) -> Sighting:
    where = f"fintts-{run}"
    since = NOW - 2 * HOUR
    return Sighting(run, Holder.CLUSTER, where, "aws/us-east-1", since, deadline_at, since)


def asked_for(store: DirectoryStore, run: str = "mine", **changes: Any) -> JournalEntry:
    """The journal's entry, which is written down, and the run in the store."""
    given: dict[str, Any] = {
        "run": run,
        "infra": "aws",
        "store": store.url,
        "requested_at": NOW - 2 * HOUR,
        "deadline_at": DEADLINE + timedelta(microseconds=7),
        "rates_usd": {"H100:1": Decimal("1.20")},
    }
    entry = JournalEntry(**(given | changes))
    open_workplace().journal.write(entry)
    create_run(store, record(run=run, infra="aws", deadline_at=entry.deadline_at))
    write_status(store, status(run=run, deadline_at=entry.deadline_at, updated_at=NOW))
    return entry


IMPATIENT = Equipment(answers_within_seconds=1.0)


def reap(*options: str, equipment: Equipment | None = None) -> Result:
    return invoke(["cloud", "reap", *options], obj=equipment)


def instances(*options: str) -> list[dict[str, Any]]:
    done = reap("--json", *options)
    assert done.exit_code == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["instances"]
    return found


def test_another_s_instance_past_its_deadline_is_removed_and_named(
    clouds: Clouds, store: DirectoryStore
) -> None:
    """It is a bill and nothing else; whose it was stands beside it, with what the ledger knows."""
    over = NOW - HOUR
    create_run(store, record(run="theirs", infra="aws", deadline_at=over))
    ada = Laptop(id="a" * 32, host="laptop-a", user="ada")
    rates = {"H100:1": Decimal("3.00"), "A100:1": Decimal("1.20")}
    take_launch(store, asked(run="theirs", asker=ada, deadline_at=over, rates_usd=rates))
    clouds.sightings.append(seen("theirs", over))
    (shown,) = instances("--dry-run")
    assert shown["whose"] == "ada on laptop-a"
    assert (shown["hourly_rate_usd"], shown["cost_usd"]) == (3.0, 6.0)
    assert shown["reason"] == "past its deadline; ada on laptop-a launched it"
    done = reap("--yes", "--quiet")
    assert done.exit_code == 0, done.stderr
    assert "ada on laptop-a launched it" in done.stdout
    assert clouds.removed == ["fintts-theirs"]


def test_another_s_spot_instance_has_its_whole_reserve(
    clouds: Clouds, store: DirectoryStore
) -> None:
    over = NOW - timedelta(minutes=17)
    create_run(store, record(run="theirs", infra="aws", deadline_at=over))
    write_status(store, status(run="theirs", deadline_at=over, updated_at=NOW, launch=1))
    take_launch(store, asked(run="theirs", deadline_at=over, reserve_seconds=1180.0))
    clouds.sightings.append(seen("theirs", over))
    (shown,) = instances("--dry-run")
    assert shown["verdict"] == "kept"


AT_WORK = RunFacts("s3://b", is_there=True, heard_at=NOW)
ENDED = RunFacts("s3://b", is_there=True, result=result(ended_at=NOW - HOUR))
NO_RUN = RunFacts("s3://b")
SILENT = RunFacts("s3://b", silence="s3://b does not answer")


@pytest.mark.parametrize(
    ("is_own", "facts", "is_past", "verdict", "reason"),
    [
        (True, AT_WORK, False, Judgement.KEPT, "at work"),
        (True, AT_WORK, True, Judgement.ORPHAN, "past its deadline"),
        (
            True,
            ENDED,
            False,
            Judgement.ORPHAN,
            "its run stopped early at step 1400",
        ),
        (True, NO_RUN, False, Judgement.ORPHAN, "its run is no longer in s3://b"),
        (
            True,
            SILENT,
            False,
            Judgement.KEPT,
            "the state of its run is unknown: s3://b does not answer",
        ),
        (True, SILENT, True, Judgement.ORPHAN, "past its deadline"),
        (False, AT_WORK, False, Judgement.KEPT, "at work, launched elsewhere"),
        (False, AT_WORK, True, Judgement.ORPHAN, "past its deadline"),
        (
            False,
            ENDED,
            False,
            Judgement.DOUBTFUL,
            "its run stopped early at step 1400",
        ),
        (False, NO_RUN, False, Judgement.DOUBTFUL, "launched elsewhere; s3://b has no run of this"),
    ],
)
def test_the_verdict(
    store: DirectoryStore,
    is_own: bool,
    facts: RunFacts,
    is_past: bool,
    verdict: Judgement,
    reason: str,
) -> None:
    own = asked_for(store) if is_own else None
    found = judge(seen(), own, facts, NOW, is_past=is_past)
    assert found[0] == verdict
    assert found[1].startswith(reason)


QUARTER = timedelta(minutes=15)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("since", "heard_at", "setup_seconds", "reason"),
    [
        (2 * HOUR, NOW - QUARTER, 0, None),
        (2 * HOUR, NOW - QUARTER - SECOND, 0, "silent for 15 minutes, and billing"),
        (timedelta(minutes=20), None, 0, None),
        (
            timedelta(minutes=21),
            None,
            0,
            "has sent no heartbeat in the 21 minutes since it was rented",
        ),
        (timedelta(minutes=44), None, 900, None),
        (timedelta(minutes=46), None, 900, "has sent no heartbeat in the 46 minutes since it was"),
        # An earlier instance's heartbeat is none of this one's.
        (timedelta(minutes=21), NOW - HOUR, 0, "has sent no heartbeat in the 21 minutes since it"),
        (timedelta(minutes=19), NOW - HOUR, 0, None),
        # A job that waits: for its first instance, and for another one.
        (None, None, 0, "has waited 120 minutes for an instance, longer than a launch may wait"),
        (None, NOW - HOUR, 0, None),
    ],
)
@pytest.mark.parametrize("is_own", [True, False])
def test_a_silent_instance_is_named(
    store: DirectoryStore,
    is_own: bool,
    since: timedelta | None,
    heard_at: datetime | None,
    setup_seconds: float,
    reason: str | None,
) -> None:
    """Its trainer and its guard hang, or its set-up does: nothing on it would tell anybody."""
    own = asked_for(store) if is_own else None
    one = replace(seen(), instance_since=None if since is None else NOW - since)
    facts = RunFacts("s3://b", is_there=True, heard_at=heard_at, setup_seconds=setup_seconds)
    verdict, why = judge(one, own, facts, NOW, is_past=False)
    if reason is None:
        assert (verdict, why.partition(",")[0]) == (Judgement.KEPT, "at work")
    else:
        assert verdict == (Judgement.ORPHAN if is_own else Judgement.DOUBTFUL)
        assert why.startswith(reason)


def test_a_silent_one_of_this_laptop_is_removed_by_cron(
    store: DirectoryStore, clouds: Clouds
) -> None:
    asked_for(store)
    write_status(store, status(run="mine", updated_at=NOW - HOUR))
    clouds.sightings += [seen(), seen("elsewhere", NOW + 2 * HOUR)]
    create_run(store, record(run="elsewhere", infra="aws", deadline_at=NOW + 2 * HOUR))
    done = reap("--yes", "--quiet")
    assert clouds.removed == ["fintts-mine"]
    assert "orphan: silent for 60 minutes, and billing" in done.stdout
    assert "doubtful: has sent no heartbeat in the 120 minutes" in done.stdout


def test_a_heartbeat_that_moves_is_no_silence_whatever_the_clocks_say(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, clouds: Clouds
) -> None:
    """This laptop's clock is an hour ahead."""
    asked_for(store)
    write_status(store, status(run="mine", updated_at=NOW - HOUR))
    clouds.sightings.append(seen())
    later = status(run="mine", updated_at=NOW - HOUR + timedelta(seconds=20))
    found = LOOK(open_workplace(), store, NOW, lambda _seconds: write_status(store, later))
    assert [(one.verdict, one.reason) for one in found.judged] == [(Judgement.KEPT, "at work")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_that_never_answers_hides_no_instance(
    clouds: Clouds,
    store: DirectoryStore,
    s3_credentials: None,
    kind: str,
) -> None:
    with silent_server(kind) as server:
        options = ("--store", "s3://bucket/speech", "--s3-endpoint-url", server)
        clouds.sightings += [seen("late", NOW - HOUR), seen("strange")]
        began = time.monotonic()
        done = reap("--yes", *options, equipment=IMPATIENT)
        assert time.monotonic() - began < 20
    assert clouds.removed == ["fintts-late"], repr(done)
    assert done.exit_code == 0, done.output
    assert "kept: the state of its run is unknown: s3://bucket" in done.stdout


def test_what_the_store_did_not_take_is_said_after_the_removal(
    clouds: Clouds, store: DirectoryStore, s3_credentials: None
) -> None:
    with silent_server("says nothing") as server:
        where = server.replace(":", "%3A").replace("/", "%2F")
        asked_for(store, deadline_at=NOW - HOUR)
        entry = open_workplace().journal.read("mine")
        assert entry is not None
        silent = {"store": f"s3://bucket/speech?endpoint_url={where}"}
        open_workplace().journal.write(entry.model_copy(update=silent))
        clouds.sightings.append(seen(deadline_at=NOW - HOUR))
        done = reap("--yes", "--quiet", equipment=IMPATIENT)
    assert (done.exit_code, clouds.removed) == (0, ["fintts-mine"])
    assert "did not answer within 1 s; `fintts cloud down mine` writes how" in done.stderr


def test_stores_that_are_silent_hold_neither_the_removals_nor_each_other(
    store: DirectoryStore, clouds: Clouds, s3_credentials: None
) -> None:
    runs = [f"late-{number}" for number in range(8)]
    with silent_server("says nothing") as server:
        where = server.replace(":", "%3A").replace("/", "%2F")
        silent = {"store": f"s3://bucket/speech?endpoint_url={where}"}
        for run in runs:
            entry = asked_for(store, run, deadline_at=NOW - HOUR)
            open_workplace().journal.write(entry.model_copy(update=silent))
            clouds.sightings.append(seen(run, deadline_at=NOW - HOUR))
        began = time.monotonic()
        done = reap("--yes", equipment=Equipment(answers_within_seconds=3.0))
        assert time.monotonic() - began < 3 * len(runs), "not one after the other"
    assert len(clouds.removed) == len(runs)
    assert done.stderr.rindex("is gone") < done.stderr.index("did not answer"), done.stderr
    assert done.stderr.count("writes how run") == len(runs)


def test_what_was_removed_from_here_and_lives_is_an_orphan(store: DirectoryStore) -> None:
    own = asked_for(store, gone_at=NOW)
    assert judge(seen(), own, AT_WORK, NOW, is_past=False)[0] == Judgement.ORPHAN


def test_a_launch_that_was_cut_off_is_an_orphan(store: DirectoryStore) -> None:
    """A laptop that lost its power leaves an instance on which nothing is set up to end it."""
    cut, own = replace(seen(), is_cut_off=True), asked_for(store)
    assert judge(cut, own, AT_WORK, NOW, is_past=False)[0] == Judgement.ORPHAN
    assert judge(cut, None, AT_WORK, NOW, is_past=False)[0] == Judgement.DOUBTFUL


def test_the_end_of_an_earlier_instance_is_not_this_one_s(store: DirectoryStore) -> None:
    """A run that ended goes on under its name: the old result may still be there."""
    own = asked_for(store)
    earlier = replace(AT_WORK, result=result(ended_at=NOW - 3 * HOUR))
    assert judge(seen(), own, earlier, NOW, is_past=False) == (Judgement.KEPT, "at work")


def test_the_deadline_tells_launches_of_one_name_apart(store: DirectoryStore) -> None:
    entry = asked_for(store)
    assert is_of(seen(), entry)
    assert is_of(seen(deadline_at=None), entry)  # SkyPilot's, before it has an instance
    assert not is_of(replace(seen(deadline_at=None), holder=Holder.CLOUD), entry)
    assert not is_of(seen(deadline_at=DEADLINE + timedelta(seconds=1)), entry)


def launched(store: DirectoryStore, launch: int, deadline_at: datetime) -> None:
    take_launch(store, asked(launch, run="mine", deadline_at=deadline_at))


def test_an_instance_of_an_earlier_launch_is_not_what_the_newest_does(
    store: DirectoryStore, clouds: Clouds
) -> None:
    """The newest launch's heartbeat says nothing of an earlier one's instance, which bills on."""
    asked_for(store, launch=1)
    launched(store, 1, DEADLINE)
    launched(store, 2, DEADLINE + HOUR)
    write_status(store, status(run="mine", launch=2, updated_at=NOW))
    clouds.sightings += [seen(), seen(deadline_at=DEADLINE + HOUR)]
    first, second = LOOK(open_workplace(), store, NOW, lambda _seconds: None).judged
    assert first.verdict == Judgement.ORPHAN
    assert first.reason == "belongs to launch 1, but its run was launched again (launch 2)"
    assert second.verdict == Judgement.KEPT
    judged = judge(seen(), None, read_facts(store, "mine"), NOW, is_past=False)
    assert judged[0] == Judgement.DOUBTFUL


@pytest.mark.parametrize("ended_at", [NOW, NOW + HOUR])
def test_the_late_end_of_an_earlier_launch_is_not_the_newest_ones(
    store: DirectoryStore, ended_at: datetime
) -> None:
    """An instance that was taken over says how it ended, by a clock that may be wrong."""
    own = asked_for(store, launch=2)
    launched(store, 1, DEADLINE - HOUR)
    launched(store, 2, DEADLINE)
    end_run(store, result(run="mine", launch=1, ended_at=ended_at))
    facts = read_facts(store, "mine")
    assert judge(seen(), own, facts, NOW, is_past=False) == (Judgement.KEPT, "at work")
    zombie = replace(facts, result=None, heard_launch=1, heard_at=NOW)
    assert judge(seen(), own, zombie, NOW, is_past=False)[0] == Judgement.ORPHAN, "it says nothing"


def test_a_run_that_went_on_has_another_deadline_than_at_first(store: DirectoryStore) -> None:
    create_run(store, record(run="mine", deadline_at=NOW - 9 * HOUR))
    write_status(store, status(run="mine", deadline_at=DEADLINE + timedelta(microseconds=7)))
    assert read_facts(store, "mine").deadlines == {NOW - 9 * HOUR, DEADLINE}


def test_another_laptop_s_run_in_the_same_store_is_certain_by_its_deadline(
    store: DirectoryStore, clouds: Clouds
) -> None:
    create_run(store, record(run="mine", deadline_at=DEADLINE))
    end_run(store, result(run="mine", ended_at=NOW))
    clouds.sightings.append(seen())
    assert instances("--yes")[0]["verdict"] == "orphan"
    assert clouds.removed == ["fintts-mine"]


def test_the_save_at_the_deadline_is_waited_for(store: DirectoryStore, clouds: Clouds) -> None:
    asked_for(store, deadline_at=NOW - ENDS_WITHIN + timedelta(minutes=1))
    clouds.sightings.append(seen(deadline_at=None))
    assert [one["verdict"] for one in instances("--yes")] == ["kept"]


def test_orphans_are_removed_and_the_rest_is_left_alone(
    store: DirectoryStore, clouds: Clouds
) -> None:
    asked_for(store, "late", deadline_at=NOW - HOUR)
    asked_for(store, "fine")
    clouds.sightings += [seen("late", NOW - HOUR), seen("fine"), seen("strange")]
    done = reap("--yes")
    assert done.exit_code == 0, done.stderr
    assert clouds.removed == ["fintts-late"]
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "2 h 00 min" in lines["late"]
    assert "$2.40" in lines["late"]
    assert lines["late"].endswith("orphan: past its deadline")
    assert lines["fine"].endswith("kept: at work")
    assert "doubtful: launched elsewhere" in lines["strange"]
    assert "cluster fintts-strange stays:" in done.stderr
    assert "cluster fintts-late is gone" in done.stderr
    assert "of gcp nothing is seen" in done.stderr


def test_a_run_whose_instance_is_reaped_gets_its_last_word(
    store: DirectoryStore, clouds: Clouds
) -> None:
    asked_for(store, deadline_at=NOW - HOUR)
    write_status(store, status(run="mine", deadline_at=NOW - HOUR))
    clouds.sightings.append(seen(deadline_at=NOW - HOUR))
    (one,) = instances("--yes")
    assert (one["removed"], one["cost_usd"]) == (True, 2.4)
    last = read_result(store, "mine")
    assert last is not None
    assert last.stop_reason == StopReason.DEADLINE
    assert last.message == "removed by `fintts cloud reap`: past its deadline"
    entry = open_workplace().journal.read("mine")
    assert entry is not None
    assert entry.gone_at is not None
    assert instances("--yes") == []


def test_an_earlier_last_word_is_kept(store: DirectoryStore, clouds: Clouds) -> None:
    asked_for(store)
    end_run(store, result(run="mine", ended_at=NOW))
    clouds.sightings.append(seen())
    instances("--yes")
    last = read_result(store, "mine")
    assert last is not None
    assert last.stop_reason == StopReason.EARLY_STOPPING


def test_a_run_that_was_deleted_leaves_nothing_to_bill(
    store: DirectoryStore, clouds: Clouds
) -> None:
    asked_for(store)
    store.delete(layout.run_json_key("mine"))
    clouds.sightings.append(seen())
    assert instances("--yes")[0]["removed"]


def test_a_dry_run_removes_nothing(store: DirectoryStore, clouds: Clouds) -> None:
    asked_for(store, deadline_at=NOW - HOUR)
    clouds.sightings.append(seen(deadline_at=NOW - HOUR))
    (one,) = instances("--dry-run")
    assert (one["verdict"], one["removed"]) == ("orphan", False)
    assert clouds.removed == []


def test_nobody_can_be_asked(store: DirectoryStore, clouds: Clouds) -> None:
    asked_for(store, deadline_at=NOW - HOUR)
    clouds.sightings.append(seen(deadline_at=NOW - HOUR))
    refused = reap()
    assert refused.exit_code == 2
    assert "cannot ask whether to remove the orphans" in refused.stderr
    assert clouds.removed == []


@pytest.mark.parametrize(
    ("answers", "removed", "code"),
    [
        ("y\ny\n", ["fintts-late", "fintts-strange"], 0),
        ("y\nn\n", ["fintts-late"], 0),
        ("n\ny\n", ["fintts-strange"], 1),
    ],
)
def test_a_person_is_asked_about_the_orphans_and_each_doubtful_one(
    store: DirectoryStore,
    clouds: Clouds,
    monkeypatch: pytest.MonkeyPatch,
    answers: str,
    removed: list[str],
    code: int,
) -> None:
    monkeypatch.setattr(Terminal, "may_ask", True)
    asked_for(store, "late", deadline_at=NOW - HOUR)
    clouds.sightings += [seen("late", NOW - HOUR), seen("strange")]
    done = invoke(["cloud", "reap"], input=answers)
    assert done.exit_code == code, done.stderr
    assert clouds.removed == removed


def test_yes_is_not_said_to_what_is_doubtful(
    store: DirectoryStore, clouds: Clouds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Terminal, "may_ask", True)
    clouds.sightings.append(seen("strange"))
    done = invoke(["cloud", "reap", "--yes"], input="y\n")
    assert (done.exit_code, clouds.removed) == (0, [])


def test_one_that_stays_keeps_no_other_from_going(store: DirectoryStore, clouds: Clouds) -> None:
    clouds.sightings += [seen("one", NOW - HOUR), seen("two", NOW - HOUR)]
    clouds.stuck.add("fintts-one")
    done = reap("--yes")
    assert done.exit_code == 4
    assert clouds.removed == ["fintts-two"]
    assert "1 instance could not be removed, and may be billing" in done.stderr


def test_who_did_not_answer_is_an_error_after_the_rest_was_done(
    store: DirectoryStore, clouds: Clouds
) -> None:
    clouds.sightings.append(seen("one", NOW - HOUR))
    clouds.unanswered = ("AWS could not be asked for instances: no credentials",)
    done = reap("--yes")
    assert done.exit_code == 4
    assert clouds.removed == ["fintts-one"]
    assert "AWS could not be asked for instances" in done.stderr


def test_by_cron_it_says_nothing_while_all_is_right(store: DirectoryStore, clouds: Clouds) -> None:
    asked_for(store)
    clouds.sightings.append(seen())
    done = reap("--yes", "--quiet")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_nothing_is_said_to_be_nothing(store: DirectoryStore, clouds: Clouds) -> None:
    done = reap()
    assert (done.exit_code, done.stdout) == (0, "no instances with fintts labels\n")


@pytest.mark.parametrize(("infra", "code"), [("aws", 4), ("local", 0)])
def test_without_skypilot_what_it_rented_is_missed(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, infra: str, code: int
) -> None:
    def missing() -> None:
        raise CloudError("SkyPilot is not installed here")

    monkeypatch.setattr("fintts_cli.runs.reap.search.require_sky", missing)
    asked_for(store, infra=infra)
    done = reap("--yes")
    assert done.exit_code == code
    assert "SkyPilot is not installed here: no cloud was asked" in done.stderr


def test_a_damaged_journal_is_named(store: DirectoryStore, clouds: Clouds) -> None:
    asked_for(store)
    (open_workplace().state / "journal" / "torn.json").write_text("{")
    clouds.sightings += [seen(), seen("torn", NOW - HOUR)]
    done = reap("--yes")
    assert done.exit_code == 4
    assert "torn.json" in done.stderr
    assert clouds.removed == ["fintts-torn"]


def test_an_instance_of_which_its_cloud_says_that_nothing_works_on_it_is_removed(
    clouds: Clouds, store: DirectoryStore
) -> None:
    """Even with a fresh heartbeat, which was its last; another's is only named."""
    asked_for(store)
    trouble = "Verda says offline: nothing works on it, and it may be billed"
    clouds.sightings += [
        replace(seen(), trouble=trouble),
        replace(seen("theirs", None), trouble=trouble),
    ]
    mine, theirs = sorted(instances("--dry-run"), key=lambda one: str(one["run"]))
    assert (mine["reason"], mine["verdict"]) == (trouble, "orphan")
    assert (theirs["reason"], theirs["verdict"]) == (trouble, "doubtful")
    reap("--yes")
    assert clouds.removed == ["fintts-mine"]


@pytest.mark.parametrize(("patience_seconds", "is_kept"), [(1200.0, False), (7200.0, True)])
def test_an_instance_may_take_as_long_as_its_launch_patience_to_become_ready(
    patience_seconds: float, is_kept: bool, clouds: Clouds, store: DirectoryStore
) -> None:
    """A killed terminal no longer takes it back; after that time `reap` does."""
    entry = asked_for(store, launch=1)
    store.delete(layout.status_key("mine"))
    launch = asked(run="mine", deadline_at=entry.deadline_at)
    take_launch(store, launch.model_copy(update={"launch_patience_seconds": patience_seconds}))
    clouds.sightings.append(seen())
    (shown,) = instances("--dry-run")
    assert (shown["verdict"] == "kept") == is_kept
    if not is_kept:
        assert "has sent no heartbeat in the 120 minutes" in shown["reason"]


@pytest.mark.parametrize(
    ("waited", "was_heard", "is_kept"),
    [(20, False, True), (120, False, False), (120, True, True)],
)
def test_a_job_may_wait_for_its_first_instance_as_long_as_a_launch_may(
    waited: int, was_heard: bool, is_kept: bool, clouds: Clouds, store: DirectoryStore
) -> None:
    """One that has lost its instance waits for another until its deadline."""
    entry = asked_for(store, launch=1)
    if not was_heard:
        store.delete(layout.status_key("mine"))
    take_launch(store, asked(run="mine", deadline_at=entry.deadline_at))
    job = replace(
        seen(),
        holder=Holder.MANAGED_JOB,
        created_at=NOW - timedelta(minutes=waited),
        instance_since=None,
    )
    clouds.sightings.append(job)
    (shown,) = instances("--dry-run")
    assert (shown["verdict"] == "kept") == is_kept
    if not is_kept:
        assert "has waited 120 minutes for an instance, longer than" in shown["reason"]
