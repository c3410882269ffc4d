"""The forecast beside a run: it never harms or delays the training."""

from __future__ import annotations

from fintts_cost.pace.eta import EtaMeter
from fintts_cost.training.early_stopping import EarlyStopping, Progress
from fintts_cost.training.schedule import Schedule
from fintts_trainer.checkpoint import LoopState
from fintts_trainer.forecast.forecaster import Forecaster
from fintts_trainer.forecast.stop import MOST_REMEMBERED
from simulated_curves import FALLING

RULE = EarlyStopping()
SCHEDULE = Schedule(samples=800, max_steps=3000, validation_every=100)


class Clock:
    """A time that the test sets; each look at it takes so many seconds."""

    def __init__(self, seconds_a_look: float = 0.0) -> None:
        self.now, self.seconds_a_look = 0.0, seconds_a_look

    def __call__(self) -> float:
        self.now += self.seconds_a_look
        return self.now


def progress_after(count: int) -> Progress:
    progress = RULE.start()
    for check, value in enumerate(FALLING[:count], 1):
        progress = RULE.check(progress, 100 * check, value)
    return progress


def look(forecaster: Forecaster, count: int) -> None:
    forecaster.look(progress_after(count), list(FALLING[:count]), 100 * count)


def measured_pace() -> EtaMeter:
    meter = EtaMeter(warmup_steps=0)
    return meter.after_step(2.0).after_check(30.0)


def test_the_fifth_check_brings_the_first_forecast() -> None:
    forecaster = Forecaster(RULE, SCHEDULE, 0, print)
    look(forecaster, 4)
    assert forecaster.told(measured_pace(), 400) is None
    look(forecaster, 5)
    told = forecaster.told(measured_pace(), 500)
    assert told is not None
    assert told.checks == 5


def test_time_to_go_is_the_measured_pace_with_the_checks_between() -> None:
    forecaster = Forecaster(RULE, SCHEDULE, 0, print)
    look(forecaster, 8)
    told = forecaster.told(measured_pace(), 850)
    assert told is not None
    checks = told.likely_step // 100 - 8
    assert told.likely_seconds == (told.likely_step - 850) * 2.0 + checks * 30.0
    assert told.low_step < told.high_step


def test_a_run_past_its_forecast_is_not_said_to_end_earlier_than_now() -> None:
    forecaster = Forecaster(RULE, SCHEDULE, 0, print)
    look(forecaster, 8)
    told = forecaster.told(measured_pace(), 2950)
    assert told is not None
    assert told.low_step == 2950
    assert told.low_seconds == 0


def test_before_a_pace_is_measured_the_steps_alone_are_told() -> None:
    forecaster = Forecaster(RULE, SCHEDULE, 0, print)
    look(forecaster, 5)
    told = forecaster.told(EtaMeter(), 500)
    assert told is not None
    assert told.high_step > told.low_step
    assert told.likely_seconds is None


def test_whatever_goes_wrong_is_a_line_of_the_log() -> None:
    said: list[str] = []
    forecaster = Forecaster(RULE, SCHEDULE, -1, said.append)  # a seed that numpy refuses
    look(forecaster, 5)
    assert forecaster.told(measured_pace(), 500) is None
    assert len(said) == 1
    assert said[0].startswith("no forecast of early stopping after step 500: ValueError(")


def test_forecasts_take_at_most_a_hundredth_of_the_time() -> None:
    clock = Clock(seconds_a_look=1.0)  # so that each forecast takes a second
    forecaster = Forecaster(RULE, SCHEDULE, 0, print, clock)
    look(forecaster, 5)
    look(forecaster, 6)
    assert forecaster.checks == 5, "too soon"
    clock.now += 100
    look(forecaster, 7)
    assert forecaster.checks == 7


def test_a_skipped_forecast_leaves_the_one_before() -> None:
    clock = Clock(seconds_a_look=1.0)
    forecaster = Forecaster(RULE, SCHEDULE, 0, print, clock)
    look(forecaster, 5)
    before = forecaster.newest
    look(forecaster, 6)
    assert forecaster.newest == before is not None


def test_a_state_keeps_the_newest_checks_through_a_checkpoint() -> None:
    state = LoopState()
    for check in range(MOST_REMEMBERED + 3):
        state.note_check(float("nan") if check % 2 else float(check))
    assert len(state.monitored) == MOST_REMEMBERED
    assert state.monitored[:3] == [None, 4.0, None]
    assert LoopState.from_json(state.to_json()) == state


def test_a_checkpoint_of_an_earlier_version_has_no_checks() -> None:
    content = LoopState(step=700).to_json()
    del content["monitored"]
    assert LoopState.from_json(content) == LoopState(step=700)
