"""What an instance forecasts of its own run once it has measured some steps: `replan` of
status.json."""

from typing import Self

from pydantic import model_validator

from fintts_store.runs.fields import Count, Moment, Seconds, Step
from fintts_store.runs.record import Record


class SecondsRange(Record):
    """P10, P50 and P90 of a duration."""

    low: Seconds
    likely: Seconds
    high: Seconds

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.low <= self.likely <= self.high:
            raise ValueError("low, likely and high are not in order")
        return self


class Replan(Record):
    """The rest of the run, forecast at one moment and not renewed with each heartbeat.

    So what it forecasts of the whole run is the time from `started_at` of the run to `measured_at`,
    and `seconds_left`.
    """

    step: Step
    """finished when it was made"""
    measured_at: Moment
    seconds_per_token: SecondsRange
    """of training; a token is a position of an utterance, text or frame, without padding"""
    seconds_left: SecondsRange
    """from `measured_at` to max_steps, with checks and saves, as if there were no deadline and no
    early stopping"""
    checks_that_fit: Count
    """validation checks of the whole run that end before the deadline, including those made"""
