"""Data, base model and earlier runs are read once, and mean the same wherever they are read."""

from __future__ import annotations

import shutil
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from cli_project import write_project
from fintts_cli.commands.opening import open_workplace
from fintts_cli.errors import ConfigError
from fintts_cli.estimate.run import estimate_run, pace_before
from fintts_cli.estimate.run_inputs import CODEC_BYTES, RunInputs
from fintts_cli.launch.upload import check_inputs
from fintts_cli.settings.model import Settings
from fintts_cli.settings.read import read_settings
from fintts_cost.money import Price
from fintts_inputs.errors import FolderMissing
from fintts_store.backends.directory import DirectoryStore
from fintts_store.store import Store
from tiny_run import TINY


@pytest.fixture
def settings(own_folder: Path) -> Settings:
    """A project with more utterances than are looked at, of different lengths."""
    write_project(own_folder)
    speech = own_folder / "speech"
    first = np.load(next(speech.glob("*.npy")))
    for number in range(150):
        np.save(speech / f"more-{number}.npy", np.resize(first, (first.shape[0], 3 + number % 17)))
        (speech / f"more-{number}.lab").write_text("ä" * (1 + number % 13))
    shutil.copytree(TINY, own_folder / "base")
    return read_settings({"base_model": own_folder / "base"}).settings


def test_a_checked_folder_and_a_glance_at_it_give_the_same_work(settings: Settings) -> None:
    checked = check_inputs(settings.run_config())
    here = open_workplace()
    opened, glance = RunInputs.of(here, settings, checked=checked), RunInputs.of(here, settings)
    assert opened.workload == glance.workload
    assert opened.shape(is_needed=True) == glance.shape(is_needed=True)
    assert opened.model_sizes == glance.model_sizes
    assert opened.unpaired == glance.unpaired == 0


def test_nothing_is_read_a_second_time(settings: Settings, own_folder: Path) -> None:
    inputs = RunInputs.of(open_workplace(), settings)
    first = (inputs.workload, inputs.shape(is_needed=True), inputs.model_sizes, inputs.unpaired)
    shutil.rmtree(own_folder / "speech")
    shutil.rmtree(own_folder / "base")
    assert first == (
        *(inputs.workload, inputs.shape(is_needed=True), inputs.model_sizes, inputs.unpaired),
    )


def test_several_gpus_read_the_earlier_runs_once(settings: Settings, tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    opened: list[Store] = []

    def open_store() -> Store:
        opened.append(store)
        return store

    here = open_workplace()
    inputs = replace(RunInputs.of(here, settings), open_store=open_store)
    for gpus in ("A100-80GB", "H100"):
        update = {"infra": "aws", "gpus": gpus, "forecast": Settings().forecast}
        rented = settings.model_copy(update=update)
        assert pace_before(here, rented, inputs) is None
    assert opened == [store]


def test_a_base_model_that_is_not_here_is_refused_only_if_it_is_needed(
    settings: Settings, own_folder: Path
) -> None:
    shutil.rmtree(own_folder / "base")
    inputs = RunInputs.of(open_workplace(), settings)
    assert inputs.shape(is_needed=False) is None
    assert inputs.model_sizes is None
    with pytest.raises(FolderMissing, match="the base model folder"):
        inputs.shape(is_needed=True)


def test_a_number_of_samples_needs_no_data_folder() -> None:
    inputs = RunInputs.of(open_workplace(), Settings(), samples=2000)
    assert (inputs.workload.samples, inputs.folder) == (2000, None)
    with pytest.raises(ConfigError, match="no data folder and no number of samples"):
        _ = RunInputs.of(open_workplace(), Settings()).workload


def test_the_codec_of_a_run_that_speaks_takes_memory(settings: Settings, own_folder: Path) -> None:
    here = open_workplace()
    assert RunInputs.of(here, settings).codec_bytes == CODEC_BYTES, "until it is here"
    (own_folder / "base" / "codec.pth").write_bytes(bytes(5000))
    assert RunInputs.of(here, settings).codec_bytes == 5000
    price = Price(Decimal(1), "option")
    weights: list[int] = []
    for options in ({}, {"samples.held_out": 1}):
        base = {"base_model": own_folder / "base", "forecast.seconds_per_step": 1}
        found = read_settings({**base, **options})
        made = estimate_run(here, found, price, RunInputs.of(here, found.settings)).estimate
        assert made.given.memory is not None
        weights.append(made.given.memory.weights_bytes)
    assert weights[1] == weights[0] + 5000
