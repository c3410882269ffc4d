"""A project whose data are recordings, with a tiny base model and its codec."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from fintts_cli.launch.record import begin
from fintts_cli.launch.upload import check_inputs, upload_inputs
from fintts_cost.money import Price
from fintts_cost.plan.candidate import Terms
from fintts_inputs.config import RunConfig
from fintts_store.backends.directory import DirectoryStore
from parity_fixtures import HERE
from recordings import speech, text_of, write_corpus, write_recording
from tiny_run import TINY, TinyRun

CODEC = HERE / "codec_for_fish_s1_tiny"
SETTINGS = """\
data: recordings
base_model: base
lora: {rank: 2}
training: {max_steps: 4, batch_size: 2, learning_rate: 0.02}
validation: {every: 2, fraction: 0.3}
checkpoints: {every: 2, keep_last: 2}
infra: local
store: store
hourly_rate_usd: 1.20
forecast: {seconds_per_step: 0.2, setup_seconds: 10, teardown_seconds: 1}
"""


def write_recorded_project(folder: Path, count: int = 12, settings: str = SETTINGS) -> Path:
    """Recordings of half a second, one of them FLAC in a folder of its own; returns the folder."""
    folder.mkdir(exist_ok=True)
    shutil.copytree(TINY, folder / "base")
    shutil.copytree(CODEC, folder / "base", dirs_exist_ok=True)
    write_corpus(folder / "recordings", count - 1, seconds=0.5)
    write_recording(
        folder / "recordings", "Anna/hei 🎙.flac", speech(60, 0.6, 16_000), 16_000, text=text_of(60)
    )
    (folder / "fintts.yaml").write_text(settings)
    return folder


def begin_run(project: Path, name: str = "mine", **sections: object) -> TinyRun:
    """What a launch uploads and writes for the recordings of a project, in `store` beside it."""
    store = DirectoryStore(project.parent / "store")
    given = {"data": project / "recordings", "base_model": project / "base"}
    small = {
        "training": {"max_steps": 2, "batch_size": 2, "warmup_steps": 0},
        "validation": {"every": 2, "fraction": 0.3},
        "checkpoints": {"every": 2},
    }
    config = RunConfig.model_validate({**given, **small, **sections})
    inputs = upload_inputs(store, check_inputs(config).beside(store), lambda _sentence: None)
    now = datetime.now(UTC)
    terms = Terms(
        infra="local",
        gpus="",
        price=Price(Decimal(0), "this machine"),
        estimate=None,
        spot=False,
        budget_usd=None,
        deadline_at=now + timedelta(hours=1),
    )
    begin(store, name, config, inputs, terms, now)
    return TinyRun(store, name, project.parent)
