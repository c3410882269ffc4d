"""Checks one by one what a launch from this machine needs, and says how to fix each."""

from __future__ import annotations

import platform
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.errors import CheckFailed, CliError, ConfigError
from fintts_cli.estimate.run import estimate_run
from fintts_cli.estimate.run_inputs import RunInputs
from fintts_cli.launch.codec import ENCODED_HERE
from fintts_cli.launch.preconditions import refuse_unsafe_launch
from fintts_cli.launch.prepare import prepare
from fintts_cli.launch.reporting import require_notify, require_trackers
from fintts_cli.launch.task import render_task
from fintts_cli.launch.upload import WITHOUT_SAMPLES
from fintts_cli.rental_checks import RentalChecks
from fintts_cli.settings.hub_model import SCHEME, HubModel
from fintts_cli.settings.option_names import naming_origins
from fintts_cli.sound_packages import require_readers
from fintts_cli.views.units import counted, size
from fintts_cli.workplace.state_folder import home_folder, open_state, state_directory
from fintts_cost import __version__
from fintts_cost.errors import CostError
from fintts_cost.money import Price, dollars
from fintts_inputs.base_model.open import open_base_model
from fintts_inputs.codec.find import find_codec_for
from fintts_inputs.data.check import check_folder
from fintts_inputs.errors import InputError
from fintts_inputs.eval_models import eval_model_files
from fintts_inputs.folder import refuse_problems
from fintts_inputs.notify.post import Event, NotDelivered, Notification, post
from fintts_inputs.notify.urls import shown
from fintts_inputs.recordings.files import only_recordings_in
from fintts_inputs.trackers import keys_of
from fintts_store.errors import StoreError
from fintts_store.probes.probes import CONDITIONAL_WRITE, Finding, Outcome, Verdict, probe_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from fintts_cli.settings.read import ReadSettings
    from fintts_cli.workplace.workplace import Workplace
    from fintts_inputs.recordings.files import Recordings

    Probe = Callable[[], Finding]


TRAINER_MODULES = ("torch", "transformers", "peft", "accelerate", "tiktoken", "tokenizers")
LONGEST_NAME = len("base model")
"""of the names of the checks"""
FREE = Price(Decimal(0), "none")
"""for the figures of an estimate other than money"""


@dataclass(frozen=True, slots=True)
class Doctor:
    """Checks what these settings need.

    Args:
        open_here: gives this machine; what keeps it from being opened is a finding like others.
        found: the settings of the launch.
        now: aware and UTC.
        tries_notify: whether to send a notification to each URL.
    """

    open_here: Callable[[], Workplace]
    found: ReadSettings
    now: datetime
    tries_notify: bool = False

    def examine(self) -> Iterator[Outcome]:
        """Each finding as soon as it is known; plans a launch if nothing else failed. Uploads and
        rents nothing."""
        is_sound = True
        for name, probe in self._probes():
            outcome = Outcome(name, _answer(probe))
            is_sound &= outcome.finding.verdict != Verdict.FAILED
            yield outcome
        if is_sound:
            yield Outcome("launch", _answer(self._launch))
        else:
            yield Outcome(
                "launch", Finding(Verdict.NOT_PROBED, "fix the failed checks above first")
            )

    def _probes(self) -> list[tuple[str, Probe]]:
        here = [("trainer", _trainer), ("GPU", _gpu)]
        rented = RentalChecks(self.open_here, self.found, home_folder)
        return [
            ("fintts", _fintts),
            ("data", self._data),
            ("base model", self._base_model),
            ("store", self._store),
            ("state", _state),
            ("disk", self._disk),
            *(rented.probes() if self._is_by_sky() else here if self._is_here() else []),
            *([("eval", self._eval)] if self.measures else []),
            *([("trackers", self._trackers)] if self.found.settings.trackers else []),
            *([("notify", self._notify)] if self.tries_notify else []),
        ]

    @property
    def measures(self) -> bool:
        """Whether the run measures its samples."""
        settings = self.found.settings
        return settings.samples.is_on and bool(settings.eval.kinds)

    @property
    def _is_recogniser_away(self) -> bool:
        return (self.found.settings.eval.asr or "").startswith(SCHEME)

    def _eval(self) -> Finding:
        """Looks for the models that measure samples."""
        config = self.found.settings.eval
        if self._is_recogniser_away:
            said = f"{str(config.asr).removeprefix(SCHEME)} is not on this machine yet"
            return Finding(Verdict.WARNING, said, "a launch downloads it")
        models = eval_model_files(config)
        return Finding(sentence=", ".join(str(paths[0]) for paths in models.values()))

    def _trackers(self) -> Finding:
        """Names what a run gets to reach its trackers, without the values."""
        settings = self.found.settings
        require_trackers(settings)
        given = ", ".join(keys_of(settings.trackers)) or "no key"
        return Finding(sentence=f"{', '.join(settings.trackers)}; the run gets {given}")

    def _is_here(self) -> bool:
        return self.found.settings.is_local

    def _is_by_sky(self) -> bool:
        with suppress(CliError):
            return self.open_here().is_by_sky(self.found.settings.infra)
        return not self._is_here()

    def _data(self) -> Finding:
        folder = self.found.settings.data
        if folder is None:
            raise ConfigError("data is not set", "`fintts init --data DIR` writes a configuration")
        if (recordings := only_recordings_in(folder)) is not None:
            return _recordings_in(recordings)
        report = check_folder(folder, None)
        report.refuse_problems()
        said = f"{counted(len(report.utterances), 'utterance')} in {folder}"
        if not report.warnings:
            return Finding(sentence=said)
        odd = f"{said}; {counted(len(report.warnings), 'warning')}"
        return Finding(Verdict.WARNING, odd, "`fintts data check` lists all")

    def _base_model(self) -> Finding:
        model = self.found.settings.base_model
        if model is None:
            raise ConfigError("base_model is not set", "`fintts init` writes a configuration")
        if isinstance(model, HubModel):
            return Finding(
                Verdict.WARNING, f"{model} is not on this machine yet", "a launch downloads it"
            )
        opened = open_base_model(model)
        instead = self._instead_of_a_codec()
        if instead is not None:
            codec = find_codec_for(opened.shape, model, instead)
            return Finding(sentence=f"{model}, and its codec, {codec.path.name}")
        return Finding(sentence=str(model))

    def _instead_of_a_codec(self) -> str | None:
        """What a run that needs a codec can do without one; None if it needs none."""
        settings = self.found.settings
        if settings.data is not None and only_recordings_in(settings.data) is not None:
            return ENCODED_HERE
        return WITHOUT_SAMPLES if settings.samples.is_on else None

    def _store(self) -> Finding:
        store = self.open_here().store_of(self.found.settings)
        is_alone = self.found.settings.single_writer
        outcomes = [_forgiven(one) if is_alone else one for one in probe_store(store)]
        for outcome in outcomes:
            if outcome.finding.verdict == Verdict.FAILED:
                raise CheckFailed(
                    f"{store.url}: {outcome.name}: {outcome.finding.sentence}",
                    outcome.finding.hint or "`fintts store check` shows every probe",
                )
        for one in outcomes:
            if one.finding.verdict == Verdict.WARNING:
                odd = f"{store.url}: {one.finding.sentence}"
                return Finding(Verdict.WARNING, odd, one.finding.hint)
        return Finding(sentence=f"{store.url}: {counted(len(outcomes), 'probe')}")

    def _disk(self) -> Finding:
        """Checks the disk: a run on this machine copies data and base model into its store, and
        writes checkpoints; a run elsewhere needs next to nothing here."""
        folder = _nearest(self.open_here().state)
        free_bytes = shutil.disk_usage(folder).free
        said = f"{size(free_bytes)} free in {folder}"
        if not self.found.settings.is_local:
            return Finding(sentence=said)
        needed_bytes = self._bytes_here()
        said = f"{said}, about {size(needed_bytes)} needed"
        if free_bytes < needed_bytes:
            raise CheckFailed(said, "free some space, or set FINTTS_STATE_DIR to another disk")
        return Finding(sentence=said)

    def _bytes_here(self) -> int:
        settings = self.found.settings
        folders = (settings.data, settings.base_model)
        inputs = sum(_folder_bytes(folder) for folder in folders if isinstance(folder, Path))
        here = self.open_here()
        opened = RunInputs.of(here, settings)
        with naming_origins(self.found):
            run = estimate_run(here, self.found, FREE, opened)
        return inputs + run.estimate.storage.bytes_at_peak

    def _notify(self) -> Finding:
        """Sends a notification from this machine, which reaches what an instance reaches, unless
        only your network does."""
        require_notify(self.found.settings)
        urls = [url.get_secret_value() for url in self.found.settings.notify]
        if not urls:
            raise ConfigError("notify is not set", "set it, or FINTTS_NOTIFY, to a URL")
        name = self.found.settings.name or "fintts"
        text = "this is a test: `fintts doctor --notify`"
        notification = Notification(Event.TEST, name, text, self.now)
        for url in urls:
            try:
                post(url, notification)
            except NotDelivered as error:
                raise CheckFailed(f"{shown(url)} {error}", "check the URL in `notify`") from None
        return Finding(sentence=f"{counted(len(urls), 'notification')} sent")

    def _launch(self) -> Finding:
        """Checks all that `fintts cloud launch` checks before it asks you."""
        settings = self.found.settings
        if isinstance(settings.base_model, HubModel):
            return Finding(Verdict.NOT_PROBED, "the base model is not on this machine yet")
        if self.measures and self._is_recogniser_away:
            return Finding(Verdict.NOT_PROBED, "the speech recogniser is not on this machine yet")
        with naming_origins(self.found):
            ready = prepare(self.open_here(), self.found, self.now)
        refuse_unsafe_launch(self.open_here(), settings, ready.store.url)
        self.open_here().infra(settings.infra).check(render_task(ready))
        cost = dollars(ready.plan.estimate.expected.cost_usd)
        said = f"{ready.run} on {ready.where}, for about {cost}"
        if ready.odd:
            return Finding(Verdict.WARNING, f"{said}; {'; '.join(ready.odd)}")
        return Finding(sentence=said)


def refuse(outcomes: list[Outcome]) -> None:
    """Raises CheckFailed if a launch would fail."""
    failed = sum(one.finding.verdict == Verdict.FAILED for one in outcomes)
    if failed:
        raise CheckFailed(
            f"{counted(failed, 'problem')} {'blocks' if failed == 1 else 'block'} a launch",
            "the lines above name each problem and its fix",
        )


def _forgiven(outcome: Outcome) -> Outcome:
    """Turns a failed probe of two writers into a warning, if the user is the only writer."""
    if outcome.name != CONDITIONAL_WRITE or outcome.finding.verdict != Verdict.FAILED:
        return outcome
    hint = "single_writer is set, so a launch goes ahead: make sure that no one else writes there"
    return Outcome(outcome.name, Finding(Verdict.WARNING, outcome.finding.sentence, hint))


def _answer(probe: Probe) -> Finding:
    try:
        return probe()
    except (CliError, CostError, StoreError, InputError) as error:
        return Finding(Verdict.FAILED, error.message, error.hint)


def _fintts() -> Finding:
    return Finding(sentence=f"{__version__}, Python {platform.python_version()}")


def _state() -> Finding:
    said = open_state()
    if said:
        return Finding(Verdict.WARNING, "; ".join(said))
    return Finding(sentence=str(state_directory()))


def _trainer() -> Finding:
    missing = [name for name in TRAINER_MODULES if find_spec(name) is None]
    if missing:
        raise CheckFailed(f"{', '.join(missing)} not installed", "pip install 'fintts[trainer]'")
    return Finding()


def _gpu() -> Finding:
    """This machine's GPUs as nvidia-smi lists them: asking torch would take seconds."""
    program = shutil.which("nvidia-smi")
    asked = [str(program), "--query-gpu=name,memory.total", "--format=csv,noheader"]
    listed = subprocess.run(asked, capture_output=True, text=True, check=False) if program else None
    if listed is None or listed.returncode != 0 or not listed.stdout.strip():
        return Finding(Verdict.WARNING, "no GPU: training runs on the CPU, many times slower")
    return Finding(sentence="; ".join(listed.stdout.strip().splitlines()))


def _folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _recordings_in(found: Recordings) -> Finding:
    """Counts recordings; a launch reads each of them, as `fintts data check` does."""
    require_readers()
    refuse_problems(found.folder, found.problems)
    said = f"{counted(len(found.audio), 'recording')} in {found.folder}, which the run encodes"
    return Finding(sentence=said)


def _nearest(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.is_dir())
