"""Between yes and an instance: what fails or is interrupted leaves nothing running, and says so."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from as_aws import write_rules
from cli_project import write_project
from fault_proxy import fault_proxy
from fintts_cli.commands.opening import open_workplace
from fintts_cli.errors import CloudError, UsageProblem
from fintts_cli.estimate.forecast import reserve_of
from fintts_cli.infra import (
    NO_SECRETS,
    Census,
    Holder,
    InstancePhase,
    InstanceState,
    Removed,
    Sighting,
)
from fintts_cli.launch import record as run_record
from fintts_cli.launch import resume, upload
from fintts_cli.launch.access import grant_for
from fintts_cli.launch.entries import ledger_entry, terms_of
from fintts_cli.launch.launch import Launch
from fintts_cli.launch.prepare import prepare
from fintts_cli.launch.start import start, take_number
from fintts_cli.launch.task import render_task
from fintts_cli.runs.bill.terms import BillingTerms
from fintts_cli.runs.instances.requested import instance_of, instances_of
from fintts_cli.runs.instances.sightings import gone
from fintts_cli.runs.instances.tear_down import tear_down, what_goes_on
from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.journal import Journal, JournalEntry
from fintts_cli.runs.status.listing import look_at, look_at_all
from fintts_cli.runs.status.stop_reason import how_it_stopped
from fintts_cli.settings.read import read_settings
from fintts_cost.plan.reserve import Reserve
from fintts_inputs.base_model.fish.prompts import FISH_S1
from fintts_inputs.config import RunConfig
from fintts_inputs.errors import BadFactor, ConfigurationChanged
from fintts_store.backends.directory import DirectoryStore
from fintts_store.errors import StoreDenied, StoreFull, StoreUnsound
from fintts_store.layout import PROMISE, commit_key, run_json_key
from fintts_store.runs.end_run import end_run
from fintts_store.runs.ledger import Evidence, Ledger, read_ledger, write_sighting
from fintts_store.runs.ledger import Launch as Launched
from fintts_store.runs.records import Phase, StopReason
from fintts_store.runs.run_record import RunRecord
from fintts_store.runs.runs import (
    list_runs,
    read_configurations,
    read_result,
    read_run,
    request_stop,
    stop_requested,
    write_status,
)
from fintts_store.store import Store
from memory_store import MemoryStore
from other_clock import OtherClock
from run_samples import manifest, record, result, status
from s3_as_it_is import ClosedToAnotherKey
from s3_servers import SECRET, make_bucket

MORNING = datetime(2026, 1, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
NO_INPUTS = upload.Inputs(record().dataset, record().base_model, FISH_S1)


@dataclass
class ScriptedInfra:
    """Fails as it is told to, and remembers what it was asked."""

    error: BaseException | None = None
    phase: InstancePhase = InstancePhase.GONE
    calls: list[str] = field(default_factory=list[str])
    tasks: list[str] = field(default_factory=list[str])
    secrets: dict[str, str] = field(default_factory=dict[str, str])
    listed: tuple[str, ...] = ()
    called: str = "local"
    since: datetime | None = None
    """when its instance came; now where nothing is said"""
    never_came: bool = False

    @property
    def name(self) -> str:
        return self.called

    def check(self, task_yaml: str) -> None:
        self.calls.append("check")

    def launch(self, run: str, task_yaml: str, secrets: Mapping[str, str] = NO_SECRETS) -> None:
        self.calls.append(f"launch {run}")
        self.tasks.append(task_yaml)
        self.secrets = dict(secrets)
        if self.error is not None:
            raise self.error

    def state(self, run: str) -> InstanceState | None:
        since = self.since or datetime.now(UTC)
        return InstanceState(run, self.phase, "nowhere", since, never_came=self.never_came)

    def instances(self) -> list[InstanceState]:
        return []

    def logs(self, run: str, *, follow: bool) -> Iterator[str]:
        return iter(())

    def down(self, run: str, *, by_name: bool = False) -> Removed:
        self.calls.append(f"down {run}")
        return Removed(was_there=True)

    def census(self) -> Census:
        now = datetime.now(UTC)
        return Census(
            tuple(Sighting(run, Holder.CLOUD, "i-1", "aws/us-east-1", now) for run in self.listed)
        )

    def remove(self, sighting: Sighting) -> None:
        self.calls.append(f"remove {sighting.where}")


@pytest.fixture
def project(own_folder: Path) -> Path:
    return write_project(own_folder)


@pytest.fixture
def store(project: Path) -> DirectoryStore:
    return DirectoryStore(project / "store")


def ready(
    name: str = "mine", options: dict[str, object] | None = None, *, force: bool = False
) -> Launch:
    return prepare(
        open_workplace(),
        read_settings({"name": name, **(options or {})}),
        datetime.now(UTC),
        force=force,
    )


def begin(launch: Launch, infra: ScriptedInfra) -> Launch:
    return start(open_workplace(), launch, infra, lambda _sentence: None)


def test_the_deadline_counts_from_the_request_and_not_from_the_plan(store: DirectoryStore) -> None:
    """An hour at the prompt and in the upload takes nothing from the run."""
    planned = prepare(
        open_workplace(), read_settings({"name": "mine"}), datetime.now(UTC) - timedelta(hours=1)
    )
    infra = ScriptedInfra()
    asked = begin(planned, infra)
    left = asked.deadline_at - datetime.now(UTC)
    assert abs(left.total_seconds() - float(planned.plan.run_seconds)) < 60
    deadline = datetime.fromisoformat(yaml.safe_load(infra.tasks[0])["envs"]["FINTTS_DEADLINE_AT"])
    assert deadline == asked.deadline_at.replace(microsecond=0)
    assert read_run(store, "mine").deadline_at == asked.deadline_at
    entry = open_workplace().journal.read("mine")
    assert entry is not None
    assert entry.deadline_at == asked.deadline_at


def test_a_launch_writes_the_run_and_the_journal_before_it_asks(
    store: DirectoryStore, project: Path
) -> None:
    class Looking(ScriptedInfra):
        def launch(self, run: str, task_yaml: str, secrets: Mapping[str, str] = NO_SECRETS) -> None:
            super().launch(run, task_yaml, secrets)
            entry = open_workplace().journal.read(run)
            assert entry is not None
            assert entry.created_at is None
            assert read_run(store, run).run == run
            assert (Path(yaml.safe_load(task_yaml)["workdir"]) / "fintts_trainer").is_dir()

    infra = Looking()
    begin(ready(), infra)
    assert infra.calls == ["launch mine"]
    record = read_run(store, "mine")
    assert record.packed.utterances == 40
    assert record.price.source == "fintts.yaml:10"
    assert record.estimate["cost_usd"] == 0.03
    assert record.bundle_digest
    entry = open_workplace().journal.read("mine")
    assert entry is not None
    assert entry.created_at is not None
    assert entry.store == str(project / "store")
    task = yaml.safe_load(infra.tasks[0])
    assert task["envs"]["FINTTS_RUN"] == "mine"
    assert datetime.fromisoformat(task["envs"]["FINTTS_DEADLINE_AT"]) == (
        record.deadline_at.replace(microsecond=0)
    )
    assert not Path(task["workdir"]).exists(), "the instance has its own copy"


@pytest.mark.parametrize(
    ("infra", "spot", "told"), [("aws", True, True), ("aws", False, False), ("local", True, False)]
)
def test_who_may_be_taken_away_is_told_to_listen(
    project: Path, infra: str, *, spot: bool, told: bool
) -> None:
    launch = ready()
    changed = launch.settings.model_copy(update={"infra": infra, "spot": spot})
    task = yaml.safe_load(render_task(replace(launch, settings=changed)))
    assert ("FINTTS_ON_SPOT" in task["envs"]) == told


@pytest.mark.parametrize("infra", ["aws", "local"])
def test_a_rented_machine_is_told_when_all_is_over(project: Path, infra: str) -> None:
    launch = ready()
    settings = launch.settings.model_copy(update={"infra": infra})
    plan = replace(launch.plan, reserve=reserve_of(settings))
    envs = yaml.safe_load(render_task(replace(launch, settings=settings, plan=plan)))["envs"]
    assert ("FINTTS_OVER_AT" in envs) == (infra == "aws")
    assert ("FINTTS_ASKED_AT" in envs) == (infra == "aws")
    if infra == "aws":
        deadline, over = (datetime.fromisoformat(envs[f"FINTTS_{name}_AT"]) for name in WHEN)
        assert (over - deadline).total_seconds() == reserve_of(settings).total_seconds


@pytest.mark.parametrize("spot", [True, False])
@pytest.mark.parametrize("forecast", [None, 600.0])
def test_the_bill_reckons_with_the_teardown_that_the_budget_keeps(
    project: Path, forecast: float | None, *, spot: bool
) -> None:
    launch = ready()
    kept = launch.settings.forecast.model_copy(update={"teardown_seconds": forecast})
    settings = launch.settings.model_copy(update={"infra": "aws", "spot": spot, "forecast": kept})
    reserve = reserve_of(settings)
    plan = replace(launch.plan, reserve=reserve)
    asked = ledger_entry(replace(launch, settings=settings, plan=plan))
    assert asked.teardown_seconds == float(reserve.after_last_word_seconds)
    launched = Launched(1, None)
    ledger = Ledger((launched,))
    damaged = BillingTerms.of_damaged(launched, ledger, record(spot=spot), None)
    least = reserve_of(launch.settings.model_copy(update={"infra": "aws", "spot": spot}))
    kept_free = (damaged.over_at - record().deadline_at).total_seconds()
    assert kept_free >= float(least.total_seconds)
    assert damaged.teardown.total_seconds() >= float(least.after_last_word_seconds)


WHEN = ("DEADLINE", "OVER")


def test_the_reserve_that_was_planned_is_the_one_that_is_written_down(project: Path) -> None:
    launch = ready()
    plan = replace(launch.plan, reserve=Reserve.here(77))
    planned = replace(launch, plan=plan)
    assert ledger_entry(planned).reserve_seconds == 77
    assert planned.over_at == planned.deadline_at + timedelta(seconds=77)


def test_a_slow_machine_is_told_so_and_nonsense_is_refused_before_money_is_spent(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINTTS_HANG_FACTOR", "10")
    assert yaml.safe_load(render_task(ready()))["envs"]["FINTTS_HANG_FACTOR"] == "10"
    monkeypatch.setenv("FINTTS_HANG_FACTOR", "1e9")
    with pytest.raises(BadFactor, match=r"must be a number from 0\.01 to 100"):
        ready()
    monkeypatch.delenv("FINTTS_HANG_FACTOR")
    assert "FINTTS_HANG_FACTOR" not in yaml.safe_load(render_task(ready()))["envs"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CloudError("no instance")])
def test_a_launch_that_fails_or_is_interrupted_was_never_there(
    store: DirectoryStore, error: BaseException
) -> None:
    infra = ScriptedInfra(error, never_came=True)
    with pytest.raises(type(error)):
        begin(ready(), infra)
    assert infra.calls == ["launch mine"], "taking down is the infra's: it knows what it began"
    assert list_runs(store) == []
    entry = open_workplace().journal.read("mine")
    assert entry is not None
    assert entry.gone_at is not None
    # What was uploaded stays, so that the next attempt is quick; and it is not refused.
    assert store.list("datasets/") != []
    begin(ready(), ScriptedInfra())
    assert list_runs(store) == ["mine"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CloudError("set-up failed")])
def test_minutes_of_a_launch_that_failed_are_billed_and_it_may_be_launched_again(
    store: DirectoryStore, error: BaseException
) -> None:
    """Provisioning may have failed over to another place when an instance was up for a while."""
    first = replace(ready(), asked_at=datetime.now(UTC))
    with pytest.raises(type(error)):
        begin(first, ScriptedInfra(error))
    (launch,) = read_ledger(store, "mine").launches
    (end,) = launch.gones
    assert end.evidence == Evidence.CLOUD
    assert launch.asked is not None
    assert end.at > launch.asked.requested_at
    view = look_at(store, "mine", lambda _record, _store: InstanceView(), end.at + HOUR)
    assert view.bill.seconds == (end.at - launch.asked.requested_at).total_seconds() > 0
    again = ready(options={"training.max_steps": 7})
    assert again.so_far.number == 2
    assert again.so_far.spent_usd == view.bill.usd > 0
    assert "max_steps" in str(again.changes[0])
    begin(again, ScriptedInfra())
    assert read_run(store, "mine").config["training"]["max_steps"] == 7  # type: ignore[index, call-overload]  # JSON


def test_a_relaunch_of_which_the_cloud_saw_nothing_costs_nothing(store: DirectoryStore) -> None:
    with suppress(CloudError):
        begin(ready(), ScriptedInfra(CloudError("set-up failed")))
    before = ready().so_far.spent_usd
    with pytest.raises(CloudError):
        begin(ready(), ScriptedInfra(CloudError("no capacity"), never_came=True))
    again = ready().so_far
    assert (again.number, again.spent_usd) == (3, before)


def test_a_failed_relaunch_is_billed_though_the_store_takes_no_word_of_it(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its entry stays in the journal: without it, it would seem to have rented nothing."""
    begin(ready(), ScriptedInfra())
    monkeypatch.setattr("fintts_cli.launch.start._note_gone", lambda *_arguments: None)
    with pytest.raises(CloudError):
        begin(ready(), ScriptedInfra(CloudError("set-up failed")))
    entry = open_workplace().journal.read("mine")
    assert entry is not None
    assert entry.launch == 2
    assert entry.gone_at is not None
    later = look_at(store, "mine", instances_of(open_workplace()), datetime.now(UTC) + HOUR)
    assert later.bill.of_launch(2)[0].usd > 0


@pytest.mark.parametrize(
    ("commits", "said"),
    [
        ({}, "starts at step 0: it has no checkpoint"),
        ({100: "whole", 200: "whole"}, "resumes from its newest checkpoint, at step 200"),
        ({100: "whole", 200: "torn"}, "resumes from its newest checkpoint, at step 100"),
        ({100: "torn"}, "starts at step 0: it has no checkpoint"),
    ],
)
def test_what_a_run_goes_on_from_is_said_as_it_is(commits: dict[int, str], said: str) -> None:
    store = MemoryStore()
    for step, state in commits.items():
        whole = manifest(step, None, run="mine")
        key = commit_key("mine", whole.name)
        store.put(key, whole.dump().encode() if state == "whole" else b"{")
    assert resume.goes_on_from(store, "mine") == said


def test_a_wrong_clock_rents_nothing_and_is_only_said_on_this_machine(
    store: DirectoryStore,
) -> None:
    launch = replace(ready(), store=OtherClock(store.root, HOUR))
    rented = launch.settings.model_copy(update={"infra": "aws"})
    infra = ScriptedInfra()
    with pytest.raises(UsageProblem, match="this machine's clock is 3,600 s behind that of"):
        begin(replace(launch, settings=rented), infra)
    assert infra.calls == []
    assert store.list("") == []
    told: list[str] = []
    start(open_workplace(), launch, infra, told.append)
    assert "clock is 3,600 s behind" in told[0]


class InterruptedJournal(Journal):
    """Something goes wrong when the instance is there, and only its moment is to be noted."""

    def __init__(self, folder: Path, error: BaseException) -> None:
        super().__init__(folder)
        self._error = error

    def change(self, run: str, **fields: datetime) -> None:
        raise self._error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), StoreFull("no space")])
def test_an_instance_that_is_there_keeps_its_run(
    store: DirectoryStore, project: Path, error: BaseException
) -> None:
    infra = ScriptedInfra(phase=InstancePhase.RUNNING)
    here = open_workplace()
    interrupted = InterruptedJournal(here.state / "journal", error)
    with suppress(KeyboardInterrupt):
        start(replace(here, journal=interrupted), ready(), infra, lambda _sentence: None)
    assert list_runs(store) == ["mine"]
    assert what_goes_on(infra, "mine").startswith("run mine keeps running")
    assert "has no instance" in what_goes_on(ScriptedInfra(), "mine")


def test_of_two_launches_at_once_the_second_is_refused(store: DirectoryStore) -> None:
    one, two = ready(), ready()
    assert one.bundle != two.bundle
    begin(one, ScriptedInfra())
    infra = ScriptedInfra()
    with pytest.raises(UsageProblem, match="already launched run mine"):
        begin(two, infra)
    assert infra.calls == []
    assert list_runs(store) == ["mine"]


def test_a_run_that_a_trainer_works_on_is_not_started_again(store: DirectoryStore) -> None:
    """`fintts train` on some machine: there is a heartbeat, and no instance of ours."""
    begin(ready(), ScriptedInfra())
    open_workplace().journal.write(
        JournalEntry.model_validate(
            {**dict(open_workplace().journal.read("mine") or ()), "store": "elsewhere"}
        )
    )
    now = datetime.now(UTC)
    write_status(store, status(run="mine", phase=Phase.TRAINING, updated_at=now))
    with pytest.raises(UsageProblem, match="is already running"):
        ready()
    write_status(
        store, status(run="mine", phase=Phase.TRAINING, updated_at=now - timedelta(minutes=1))
    )
    assert ready().resumes is not None


def test_a_refused_launch_leaves_the_journal_of_the_live_instance(store: DirectoryStore) -> None:
    begin(ready(), ScriptedInfra())
    before = open_workplace().journal.read("mine")
    live = CloudError("run mine has a live instance")
    infra = ScriptedInfra(live, InstancePhase.RUNNING, since=MORNING)
    with pytest.raises(CloudError):
        begin(ready(), infra)
    assert infra.calls == ["launch mine"]
    assert open_workplace().journal.read("mine") == before


def test_an_interruption_while_uploading_asks_for_nothing(store: DirectoryStore) -> None:
    infra = ScriptedInfra()

    def interrupt(_sentence: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(open_workplace(), ready(), infra, interrupt)
    assert infra.calls == []
    assert list_runs(store) == []


def test_the_same_data_and_model_are_uploaded_once(store: DirectoryStore) -> None:
    told: list[str] = []
    for name in ("one", "two"):
        start(open_workplace(), ready(name), ScriptedInfra(), told.append)
    assert len([sentence for sentence in told if "utterances" in sentence]) == 1
    assert len([sentence for sentence in told if "model.pth" in sentence]) == 1
    one, two = read_run(store, "one"), read_run(store, "two")
    assert one.dataset == two.dataset
    assert one.base_model == two.base_model


def test_a_run_without_result_and_instance_goes_on(store: DirectoryStore) -> None:
    begin(ready(), ScriptedInfra())
    before = read_run(store, "mine")
    write_status(store, status(run="mine", phase=Phase.TRAINING))
    request_stop(store, "mine", "an earlier request")
    again = ready()
    assert again.resumes == before
    infra = ScriptedInfra()
    begin(again, infra)
    assert infra.calls == ["launch mine"]
    assert read_run(store, "mine") == before
    assert not stop_requested(store, "mine")


def test_a_run_keeps_the_prompt_that_it_began_with(store: DirectoryStore) -> None:
    begin(ready(), ScriptedInfra())
    begun = read_run(store, "mine")
    assert begun.prompt == "fish-s1"
    assert not any("prompt" in sentence for sentence in ready().warnings)
    before = begun.model_copy(update={"prompt": None})  # as runs were before they recorded it
    store.put(run_json_key("mine"), before.dump().encode())
    again = ready()
    assert [sentence for sentence in again.warnings if "prompt" in sentence] == [
        "the run keeps its prompt, fish-joined; the base model is served "
        "with fish-s1, which new runs use"
    ]
    begin(again, ScriptedInfra())
    assert read_run(store, "mine").prompt is None
    later = begun.model_copy(update={"prompt": "fish-s9"})
    store.put(run_json_key("mine"), later.dump().encode())
    with pytest.raises(ConfigurationChanged, match="does not know the prompt 'fish-s9'"):
        ready()


def test_what_looks_wrong_in_the_data_is_in_the_plan(project: Path) -> None:
    (project / "speech" / "u003.lab").write_text("hyvÃ¤Ã¤ pÃ¤ivÃ¤Ã¤", encoding="utf-8")
    [warning] = ready().inputs.warnings
    assert warning.file == "u003.lab"
    assert 'may be "hyvää päivää"' in warning.sentence


def test_a_failed_resumption_keeps_the_run(store: DirectoryStore) -> None:
    begin(ready(), ScriptedInfra())
    with pytest.raises(CloudError):
        begin(ready(), ScriptedInfra(CloudError("no instance")))
    assert list_runs(store) == ["mine"]


def test_another_configuration_is_refused_field_by_field(store: DirectoryStore) -> None:
    begin(ready(), ScriptedInfra())
    with pytest.raises(UsageProblem) as caught:
        ready(options={"lora.rank": 5, "training.seed": 7})
    assert "lora.rank: 2 → 5" in caught.value.message
    assert "training.seed: 42 → 7" in caught.value.message
    assert "--name" in caught.value.hint


MORE_STEPS: dict[str, object] = {"training.max_steps": 800}


def test_force_is_offered_where_it_would_do(store: DirectoryStore) -> None:
    begin(ready(), ScriptedInfra())
    with pytest.raises(UsageProblem, match=r"max_steps: 400 → 800$") as caught:
        ready(options=MORE_STEPS)
    assert "keep them with --force" in caught.value.hint
    with pytest.raises(UsageProblem, match=r"rank: 2 → 5; --force allows training.max_steps"):
        ready(options={**MORE_STEPS, "lora.rank": 5})


def test_force_changes_what_is_safe_beside_run_json(store: DirectoryStore) -> None:
    begin(ready(), ScriptedInfra())
    asked = store.get(run_json_key("mine"))
    begin(ready(options=MORE_STEPS, force=True), ScriptedInfra())
    record = read_run(store, "mine")
    assert store.get(run_json_key("mine")) == asked
    assert record.revision == 1
    assert RunConfig.model_validate(record.config).training.max_steps == 800
    # From now on that is the run's configuration, and the former one is another.
    assert ready(options=MORE_STEPS).changes == ()
    with pytest.raises(UsageProblem, match="max_steps: 800 → 400"):
        ready()
    begin(ready(force=True), ScriptedInfra())
    steps = [
        RunConfig.model_validate(config).training.max_steps
        for config in read_configurations(store, "mine")
    ]
    assert steps == [400, 800, 400]


@pytest.mark.parametrize(
    "unsafe",
    [
        {"lora.rank": 5},
        {"lora.alpha": 5},
        {"lora.targets": ["mlp"]},
        {"training.seed": 5},
        {"training.batch_size": 5},
        {"training.gradient_accumulation": 5},
        {"training.bucketing": False},
        {"training.precision": "bf16"},
        {"validation.fraction": 0.5},
        {"early_stopping.monitor": "train/loss"},
    ],
)
def test_force_does_not_make_another_run_of_it(
    store: DirectoryStore, unsafe: dict[str, object]
) -> None:
    begin(ready(), ScriptedInfra())
    (key,) = unsafe
    with pytest.raises(UsageProblem, match=rf"--force cannot change: {key}: .*; --force allows"):
        ready(options={**MORE_STEPS, **unsafe}, force=True)
    assert read_run(store, "mine").revision == 0


def test_force_does_not_take_other_data(store: DirectoryStore, project: Path) -> None:
    begin(ready(), ScriptedInfra())
    (project / "speech" / "u001.lab").write_text("toinen rivi\n")
    with pytest.raises(UsageProblem, match="data: the content of the folder"):
        begin(ready(options=MORE_STEPS, force=True), ScriptedInfra())
    assert read_run(store, "mine").revision == 0


def test_a_forced_launch_that_fails_leaves_the_configuration(store: DirectoryStore) -> None:
    begin(ready(), ScriptedInfra())
    before = read_run(store, "mine")
    with pytest.raises(CloudError):
        begin(ready(options=MORE_STEPS, force=True), ScriptedInfra(CloudError("no instance")))
    assert read_run(store, "mine") == before


def test_of_two_who_force_at_once_the_second_is_refused(store: DirectoryStore) -> None:
    begin(ready(), ScriptedInfra())
    one = ready(options=MORE_STEPS, force=True)
    two = ready(options={"training.max_steps": 900}, force=True)
    begin(one, ScriptedInfra())
    infra = ScriptedInfra()
    with pytest.raises(UsageProblem, match="already launched run mine"):
        begin(two, infra)
    assert infra.calls == []
    assert read_run(store, "mine").revision == 1


@pytest.mark.parametrize(
    ("reason", "options", "goes_on"),
    [
        ("max_steps", {"training.max_steps": 1401}, True),
        ("max_steps", {"training.max_steps": 1400}, False),
        ("early_stopping", {"early_stopping.patience": 3}, True),
        ("early_stopping", {"early_stopping.patience": 1}, False),
        ("early_stopping", {"early_stopping.enabled": False}, True),
        ("nan_loss", {"training.learning_rate": 1e-6}, False),
    ],
)
def test_force_lifts_an_end_only_where_the_run_would_not_end_again_at_once(
    store: DirectoryStore, reason: str, options: dict[str, object], goes_on: bool
) -> None:
    begin(ready(), ScriptedInfra())
    end_run(store, result(run="mine", stop_reason=reason))
    if goes_on:
        begin(ready(options=options, force=True), ScriptedInfra())
        assert read_result(store, "mine") is None
        return
    with pytest.raises(UsageProblem, match="has already ended: it "):
        ready(options=options, force=True)


def test_other_data_under_the_same_name_are_refused(store: DirectoryStore, project: Path) -> None:
    begin(ready(), ScriptedInfra())
    (project / "speech" / "u001.lab").write_text("toinen rivi\n")
    infra = ScriptedInfra()
    with pytest.raises(UsageProblem, match="data: the content of the folder"):
        begin(ready(), infra)
    assert infra.calls == []


@pytest.mark.parametrize("reason", ["early_stopping", "max_steps", "nan_loss"])
def test_a_run_that_came_to_its_end_does_not_go_on(store: DirectoryStore, reason: str) -> None:
    begin(ready(), ScriptedInfra())
    end_run(store, result(run="mine", stop_reason=reason))
    with pytest.raises(
        UsageProblem, match=f"has already ended: it {how_it_stopped(StopReason(reason), 1400)}"
    ):
        ready()


@pytest.mark.parametrize("reason", ["failed", "deadline", "requested"])
def test_a_run_that_was_cut_short_goes_on(store: DirectoryStore, reason: str) -> None:
    begin(ready(), ScriptedInfra())
    ended = result(run="mine", stop_reason=reason)
    end_run(store, ended)
    with pytest.raises(CloudError):
        begin(ready(), ScriptedInfra(CloudError("no instance")))
    assert read_result(store, "mine") == ended.model_copy(update={"launch": 2}), "it has ended so"
    begin(ready(), ScriptedInfra())
    assert read_result(store, "mine") is None


def test_earlier_instances_stay_on_the_bill(store: DirectoryStore) -> None:
    for number in (1, 2, 3):
        launch = begin(ready(), ScriptedInfra())
        assert launch.so_far.number == number
        an_hour_later = launch.asked_at + timedelta(hours=1)
        there_is_none = gone("mine", number, an_hour_later, launch.me, alive_at=an_hour_later)
        write_sighting(store, there_is_none)
    with pytest.raises(CloudError):
        begin(ready(), ScriptedInfra(CloudError("no instance")))
    view = look_at(
        store, "mine", instances_of(open_workplace()), datetime.now(UTC) + timedelta(hours=9)
    )
    assert view.billed_seconds == pytest.approx(3 * 3600, abs=5), "the last one was not created"
    assert round(view.cost_so_far_usd, 2) == Decimal("3.60")


def test_what_result_and_heartbeat_say_is_in_the_ledger_before_they_are_withdrawn(
    store: DirectoryStore,
) -> None:
    launch = begin(ready(), ScriptedInfra())
    ended_at = launch.asked_at + timedelta(minutes=1)
    write_status(store, status(run="mine", launch=1, gpus="A100-80GB:1", updated_at=ended_at))
    failed = {"stop_reason": StopReason.FAILED, "ended_at": ended_at}
    end_run(store, result(run="mine", launch=1, **failed))
    again = prepare(
        open_workplace(), read_settings({"name": "mine"}), ended_at + timedelta(hours=1)
    )
    begin(again, ScriptedInfra())
    assert read_result(store, "mine") is None
    first, second = read_ledger(store, "mine").launches
    assert [(seen.at, seen.evidence) for seen in first.gones] == [(ended_at, Evidence.RESULT)]
    assert first.ups[0].gpus == "A100-80GB:1"
    assert second.gones == ()


def test_of_two_laptops_that_launch_a_run_again_exactly_one_rents(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begin(ready(), ScriptedInfra())
    end_run(store, result(run="mine", stop_reason=StopReason.FAILED, launch=1))
    at_c = ready()
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "laptop-d"))
    at_d = ready()
    winner, loser = ScriptedInfra(), ScriptedInfra()
    begin(at_d, winner)
    before = {entry.key: store.get(entry.key) for entry in store.list("runs/")}
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "laptop-c"))
    with pytest.raises(UsageProblem, match=f"{socket.gethostname()} already launched run mine"):
        begin(at_c, loser)
    assert (winner.calls, loser.calls) == (["launch mine"], [])
    assert {entry.key: store.get(entry.key) for entry in store.list("runs/")} == before
    assert open_workplace().journal.read("mine") is None


def test_of_two_laptops_that_launch_a_new_run_exactly_one_rents(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    at_c, winner, loser = ready(), ScriptedInfra(), ScriptedInfra()
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "laptop-d"))
    begin(ready(), winner)
    with pytest.raises(UsageProblem, match="already launched run mine"):
        begin(at_c, loser)
    assert (winner.calls, loser.calls) == (["launch mine"], [])
    assert read_run(store, "mine").run == "mine"


def test_another_laptop_is_told_who_asked_and_until_when(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also where that laptop was cut before it rented anything."""
    at_c = ready()
    take_number(replace(at_c, me=open_workplace().laptop(make=True)))
    run_record.begin(store, "mine", at_c.config, NO_INPUTS, terms_of(at_c), at_c.asked_at)
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "laptop-d"))
    with pytest.raises(UsageProblem, match=socket.gethostname()) as refused:
        ready()
    assert "at the latest" in refused.value.hint
    assert f"`fintts cloud down mine` on {socket.gethostname()} ends it" in refused.value.hint


@pytest.mark.parametrize("listed", [(), ("mine",)])
def test_a_list_without_it_is_no_proof_that_another_laptops_instance_is_gone(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, listed: tuple[str, ...]
) -> None:
    """This laptop may use another account of the cloud, or none at all."""
    begin(ready(), ScriptedInfra())
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "laptop-d"))
    infra, now = ScriptedInfra(listed=listed, called="aws"), datetime.now(UTC)
    view = look_at(store, "mine", instances_of(open_workplace()), now)
    with pytest.raises(CloudError, match="launched it at"):
        tear_down(store, infra, open_workplace().journal, view, now)
    assert infra.calls == []
    assert read_result(store, "mine") is None
    assert read_ledger(store, "mine").launches[0].gones == ()


def test_the_same_laptop_takes_up_what_was_cut_before_it_rented_anything(
    store: DirectoryStore,
) -> None:
    at_c = ready()
    take_number(replace(at_c, me=open_workplace().laptop(make=True), asked_at=at_c.asked_at - HOUR))
    run_record.begin(store, "mine", at_c.config, NO_INPUTS, terms_of(at_c), at_c.asked_at)
    launch = ready()
    assert launch.so_far.number == 2
    take_number(replace(launch, me=open_workplace().laptop()))
    view = look_at(store, "mine", instances_of(open_workplace()), datetime.now(UTC))
    assert view.bill.of_launch(1)[0].usd == 0, "nothing was rented"


@pytest.mark.parametrize("again_at", ["laptop-c", "laptop-d"])
def test_a_launch_that_was_cut_before_it_wrote_the_run_costs_nothing(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, again_at: str
) -> None:
    """Without run.json nobody rents anything."""
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "laptop-c"))
    cut = ready()
    take_number(replace(cut, me=open_workplace().laptop(make=True), asked_at=cut.asked_at - HOUR))
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / again_at))
    assert begin(ready(), ScriptedInfra()).so_far.number == 2
    later = datetime.now(UTC) + 20 * HOUR
    first, second = look_at(store, "mine", instances_of(open_workplace()), later).bill.spans
    assert first.usd == 0
    assert second.launch == 2


def test_down_from_another_laptop_ends_nothing_that_a_later_launch_does(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    begin(ready(), ScriptedInfra())
    end_run(store, result(run="mine", stop_reason=StopReason.FAILED, launch=1))
    laptop_c = str(open_workplace().state)
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "laptop-d"))
    begin(ready(), ScriptedInfra())
    now = datetime.now(UTC)
    write_status(store, status(run="mine", launch=2, claim=2, updated_at=now))
    monkeypatch.setenv("FINTTS_STATE_DIR", laptop_c)
    infra = ScriptedInfra()
    view = look_at(store, "mine", instances_of(open_workplace()), now)
    assert (view.phase, view.has_ended) == (Phase.TRAINING, False), "C sees D's run as it is"
    with pytest.raises(CloudError, match="launch 2"):
        tear_down(store, infra, open_workplace().journal, view, now)
    assert infra.calls == []
    assert read_result(store, "mine") is None
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "laptop-d"))
    assert not look_at(store, "mine", instances_of(open_workplace()), now).only_bills


def test_what_bears_the_same_name_in_another_store_outlives_the_end_of_a_run(
    store: DirectoryStore, project: Path
) -> None:
    first = begin(ready(), ScriptedInfra())
    begin(ready(options={"store": str(project / "other")}), ScriptedInfra())
    write_sighting(store, gone("mine", 1, datetime.now(UTC), first.me))
    infra, now = ScriptedInfra(phase=InstancePhase.RUNNING), datetime.now(UTC)
    view = look_at(store, "mine", instances_of(open_workplace()), now)
    assert tear_down(store, infra, open_workplace().journal, view, now).stop_reason == "requested"
    assert infra.calls == []
    entry = open_workplace().journal.read("mine")
    assert entry is not None
    assert entry.gone_at is None


def test_both_laptops_see_one_bill(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Decimal] = []
    for number, laptop in enumerate(("laptop-c", "laptop-d"), 1):
        monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / laptop))
        launch = begin(ready(), ScriptedInfra())
        end = launch.asked_at + number * HOUR
        write_sighting(store, gone("mine", number, end, launch.me, alive_at=end))
    for laptop in ("laptop-c", "laptop-d", "laptop-e"):
        monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / laptop))
        later = datetime.now(UTC) + timedelta(hours=20)
        seen.append(look_at(store, "mine", instances_of(open_workplace()), later).cost_so_far_usd)
    assert seen == [Decimal("3.60")] * 3


def test_a_cloud_that_gives_no_answer_hides_no_run(store: DirectoryStore) -> None:
    begin(ready(), ScriptedInfra())

    def no_answer(_record: RunRecord, _store: Store) -> InstanceView:
        raise CloudError("SkyPilot cannot say whether it is there")

    listing = look_at_all(store, no_answer, MORNING)
    assert [view.run for view in listing.views] == ["mine"]
    assert listing.views[0].instance_is_live is None
    assert [error.message for error in listing.broken] == [
        "SkyPilot cannot say whether it is there"
    ]


def test_a_run_of_the_same_name_in_another_store_is_another_run(
    store: DirectoryStore, project: Path
) -> None:
    begin(ready(), ScriptedInfra())
    other = DirectoryStore(project / "other")
    launch = begin(ready(options={"store": other.url}), ScriptedInfra())
    assert launch.so_far.number == 1
    entry = open_workplace().journal.read("mine")
    assert entry is not None
    assert entry.store == other.url
    me = open_workplace().laptop()
    assert instance_of(open_workplace(), read_run(store, "mine"), store) == InstanceView(
        me=me, journal_is_silent=True
    )
    infra, now = ScriptedInfra(), datetime.now(UTC)
    view = look_at(store, "mine", instances_of(open_workplace()), now)
    assert tear_down(store, infra, open_workplace().journal, view, now).stop_reason == "requested"
    assert infra.calls == [], "the instance is the other run's"


def test_a_rented_instance_gets_a_key_for_its_run_alone(
    project: Path, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And what is written down of the launch has none of it."""
    make_bucket(moto_endpoint, "for-one-run")
    monkeypatch.setenv("AWS_DATA_PATH", str(write_rules(tmp_path / "rules", moto_endpoint)))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_endpoint)
    rented: dict[str, object] = {
        "infra": "aws",
        "gpus": "H100:1",
        "store": "s3://for-one-run/speech",
    }
    launch = ready(options=rented)
    assert grant_for(launch).warning == ""
    infra = ScriptedInfra()
    asked = begin(launch, infra)
    token = infra.secrets["AWS_SESSION_TOKEN"]
    assert infra.secrets["AWS_SECRET_ACCESS_KEY"] != SECRET
    for folder in (open_workplace().state, project):
        for path in folder.rglob("*"):
            assert not path.is_file() or token.encode() not in path.read_bytes(), path
    assert token not in infra.tasks[0]
    record = read_run(launch.store, "mine")
    assert terms_of(asked).deadline_at == record.deadline_at


def test_a_key_that_the_bucket_s_encryption_refuses_rents_nothing(
    project: Path, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_bucket(moto_endpoint, "by-kms")
    closed = ClosedToAnotherKey("PUT", "/runs/mine/", "kms:GenerateDataKey")
    with fault_proxy(moto_endpoint, closed) as proxy:
        monkeypatch.setenv("AWS_DATA_PATH", str(write_rules(tmp_path / "rules", proxy.url)))
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_endpoint)
        rented: dict[str, object] = {"infra": "aws", "gpus": "H100:1", "store": "s3://by-kms/a"}
        infra = ScriptedInfra()
        with pytest.raises(
            StoreDenied, match=r"the instance's key is not sufficient.*kms:GenerateDataKey"
        ):
            begin(ready(options=rented), infra)
    assert infra.tasks == []


def test_a_run_on_this_machine_needs_no_key(store: DirectoryStore) -> None:
    infra = ScriptedInfra()
    begin(ready(), infra)
    assert infra.secrets == {}


def test_a_run_that_outlives_its_key_is_told_so_before_anything_is_written(
    project: Path, moto_endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_bucket(moto_endpoint, "too-long")
    monkeypatch.setenv("AWS_DATA_PATH", str(write_rules(tmp_path / "rules", moto_endpoint)))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto_endpoint)
    rented: dict[str, object] = {"infra": "aws", "gpus": "H100:1", "store": "s3://too-long/speech"}
    slow = {"forecast.seconds_per_step": 600.0, "budget_usd": "100"}
    launch = ready(options={**rented, **slow})
    with pytest.raises(StoreDenied, match="lasts at most 36 h"):
        grant_for(launch)
    with pytest.raises(StoreDenied, match="lasts at most 36 h"):
        begin(launch, ScriptedInfra())
    assert list_runs(launch.store) == []
    assert open_workplace().journal.read("mine") is None


class Careless(DirectoryStore):
    """Its conditional write is none."""

    def create(self, key: str, data: bytes) -> None:
        self.put(key, data)


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_store_that_keeps_no_two_writers_apart_is_refused_before_anything_is_uploaded(
    store: DirectoryStore, *, is_alone: bool
) -> None:
    launch = replace(ready(options={"single_writer": is_alone}), store=Careless(store.root))
    infra = ScriptedInfra()
    if is_alone:
        begin(launch, infra)
        assert infra.calls == ["launch mine"]
        return
    with pytest.raises(StoreUnsound, match="cannot tell two writers apart"):
        begin(launch, infra)
    assert infra.calls == []
    assert {entry.key for entry in store.list("")} == {PROMISE}
