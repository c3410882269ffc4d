"""An error in the numbers of a run says where the number was set."""

from __future__ import annotations

from pathlib import Path

import pytest

from fintts_cli.settings.option_names import keyed, naming_origins
from fintts_cli.settings.read import read_settings
from fintts_cost.errors import CostError, ScheduleError
from fintts_cost.training.schedule import Schedule


def refusal(folder: Path, **typed: object) -> CostError:
    found = read_settings(keyed(typed), folder=folder)
    training = found.settings.training
    with pytest.raises(ScheduleError) as caught, naming_origins(found):
        Schedule(7, training.batch_size, training.gradient_accumulation)
    return caught.value


def test_a_value_of_the_file_is_named_by_its_key_and_line(own_folder: Path) -> None:
    (own_folder / "fintts.yaml").write_text("training:\n  batch_size: 9\n")
    error = refusal(own_folder)
    assert error.message.startswith("training.batch_size (fintts.yaml:2) is 9 samples")


def test_a_variable_is_named(own_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINTTS_TRAINING__BATCH_SIZE", "9")
    assert "FINTTS_TRAINING__BATCH_SIZE" in refusal(own_folder).message


def test_a_value_that_nobody_set_is_a_default(own_folder: Path) -> None:
    assert refusal(own_folder).message.startswith("training.batch_size (default) is 8 samples")


def test_a_typed_option_stays_an_option(own_folder: Path) -> None:
    message = refusal(own_folder, gradient_accumulation=2).message
    assert message.startswith("training.batch_size (default) 8 × --gradient-accumulation 2 is 16")
