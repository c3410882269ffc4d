"""Measures how fast this machine trains, by a few steps of the run that you configured.

The dry run uses your base model, your settings and some of your utterances, in a store of its own
that is removed afterwards.
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.errors import CheckFailed, ConfigError
from fintts_cli.estimate.pace import DryPace, remember_dry_pace
from fintts_cli.launch import record as run_record
from fintts_cli.launch import upload
from fintts_cli.places import LOCAL
from fintts_cli.trainer_process.local_trainer import require_trainer, run_trainer_quietly
from fintts_cli.wording import iso_second
from fintts_cli.workplace.state_folder import open_state
from fintts_cost.money import Price
from fintts_cost.plan.candidate import Terms
from fintts_inputs.config import SamplesConfig
from fintts_inputs.data.listing import CODES, TEXT
from fintts_inputs.data.pairs import find_pairs
from fintts_inputs.recordings.files import only_recordings_in
from fintts_inputs.recordings.transcripts import read_transcripts
from fintts_store.opening import open_store
from fintts_store.runs.runs import read_result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fintts_cli.estimate.run_inputs import RunInputs
    from fintts_cli.settings.model import Settings
    from fintts_inputs.config import RunConfig
    from fintts_inputs.recordings.files import Recordings

RUN = "dry-run"
STEPS = 12
LIMIT = timedelta(minutes=5)
"""to load the model and take the steps; a slower machine is not worth training on"""
FEWEST_UTTERANCES = 64
STEPS_WORTH = 4
"""steps that get utterances of their own"""


def measure_pace(
    state: Path, settings: Settings, inputs: RunInputs, say: Callable[[str], None]
) -> DryPace:
    """Trains a few steps on this machine, and remembers in `state` how long they took.

    Raises:
        UsageProblem: the trainer's packages are not installed here.
        ConfigError: data or base model is not set, or the base model is not here.
        CheckFailed: the trainer took no step; the hint names the log.
        CliError, InputError, StoreError: the trainer cannot use data or base model.
    """
    require_trainer()
    config, sizes = settings.run_config(), inputs.model_sizes
    if sizes is None:
        raise ConfigError(f"there is no base model in {settings.base_model}", "see `fintts doctor`")
    for sentence in open_state():
        say(sentence)
    minutes = LIMIT.total_seconds() / 60
    say(f"measuring how fast this machine trains: {STEPS} steps, {minutes:.0f} minutes at most")
    folder = Path(tempfile.mkdtemp(prefix="dry-run-", dir=state))
    try:
        pace = _train(folder, config, state / "dry-run.log")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    remember_dry_pace(state, settings, sizes, pace)
    say(f"a step takes {pace.seconds_per_step:.3g} s here")
    return pace


def _train(folder: Path, config: RunConfig, log: Path) -> DryPace:
    """Runs a few steps in a store of its own; returns their metrics."""
    store, now = open_store(str(folder / "store")), datetime.now(UTC)
    short = _shortened(config, _some_data(config, folder / "data"))
    inputs = upload.upload_inputs(store, upload.check_inputs(short), lambda _sentence: None)
    run_record.begin(store, RUN, short, inputs, _terms(now + LIMIT), now)
    code = run_trainer_quietly(
        {
            "FINTTS_STORE": store.url,
            "FINTTS_RUN": RUN,
            "FINTTS_WORKSPACE": str(folder / "workspace"),
            "FINTTS_DEADLINE_AT": iso_second(now + LIMIT),
        },
        log,
    )
    result = read_result(store, RUN)
    if result is None or result.step < 1:
        raise CheckFailed(
            f"the dry run failed with exit code {code} before its first step",
            f"{log} says why; or set forecast.seconds_per_step in fintts.yaml",
        )
    spent = result.phase_seconds
    started = (result.started_at - now).total_seconds()
    return DryPace(
        seconds_per_step=spent["training"] / result.step,
        setup_seconds=started + spent.get("setup", 0.0),
        steps=result.step,
        measured_at=result.ended_at,
    )


def _shortened(config: RunConfig, data: Path) -> RunConfig:
    """The same steps, but few, with one check and one save, at the end."""
    changes: dict[str, object] = {
        "data": data,
        "training": config.training.model_copy(update={"max_steps": STEPS, "warmup_steps": 1}),
        "validation": config.validation.model_copy(update={"every": STEPS}),
        "checkpoints": config.checkpoints.model_copy(update={"every": STEPS, "keep_last": 1}),
        "samples": SamplesConfig(),
        "early_stopping": config.early_stopping.model_copy(update={"enabled": False}),
    }
    return config.model_copy(update=changes)


def _some_data(config: RunConfig, target: Path) -> Path:
    """Copies utterances from all over the folder, enough for a few different steps."""
    per_step = config.training.batch_size * config.training.gradient_accumulation
    wanted = max(FEWEST_UTTERANCES, STEPS_WORTH * per_step)
    target.mkdir()
    recordings = only_recordings_in(config.data)
    if recordings is None:
        return _some_pairs(config.data, target, wanted)
    return _some_recordings(recordings, target, wanted)


def _some_recordings(recordings: Recordings, target: Path, wanted: int) -> Path:
    texts = read_transcripts(recordings).by_name
    spoken = [name for name in recordings.audio if name in texts]
    if not spoken:
        raise ConfigError(
            "the time of a step cannot be measured, as no recording has a whole text",
            "give it as --seconds-per-step",
        )
    for number, name in enumerate(spread(spoken, wanted)):
        path = recordings.audio[name]
        shutil.copyfile(path, target / f"{number}{path.suffix}")
        (target / f"{number}{TEXT}").write_text(texts[name].text, encoding="utf-8")
    return target


def _some_pairs(data: Path, target: Path, wanted: int) -> Path:
    pairs = find_pairs(data)
    for number, name in enumerate(spread(list(pairs), wanted)):
        for path, ending in zip(pairs[name], (CODES, TEXT), strict=True):
            shutil.copyfile(path, target / f"{number}{ending}")
    return target


def spread(names: Sequence[str], wanted: int) -> Sequence[str]:
    """At most so many of them, evenly spaced."""
    count = min(wanted, len(names))
    return [names[index * len(names) // count] for index in range(count)]


def _terms(deadline_at: datetime) -> Terms:
    return Terms(
        infra=LOCAL,
        gpus="",
        price=Price(Decimal(0), "this machine"),
        estimate=None,
        spot=False,
        budget_usd=None,
        deadline_at=deadline_at,
    )
