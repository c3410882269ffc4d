"""Whether the time of a step on this machine must be measured first; needs no code of a launch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_cli.estimate.run import pace_before

if TYPE_CHECKING:
    from fintts_cli.estimate.run_inputs import RunInputs
    from fintts_cli.settings.model import Settings
    from fintts_cli.workplace.workplace import Workplace


def is_pace_missing(here: Workplace, settings: Settings, inputs: RunInputs) -> bool:
    """Whether the run trains on this machine and the time of a step here is not known."""
    return (
        settings.is_local
        and settings.forecast.seconds_per_step is None
        and pace_before(here, settings, inputs) is None
    )


def can_measure(settings: Settings, inputs: RunInputs) -> bool:
    """Whether data and base model are here, so that steps can be timed."""
    return settings.data is not None and inputs.model_sizes is not None
