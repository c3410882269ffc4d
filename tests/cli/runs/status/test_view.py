"""One pure function says what a run is doing, from records, heartbeat, result and instance."""

from __future__ import annotations

from decimal import Decimal
from itertools import chain, repeat

import pytest

from fintts_cli.errors import CloudError
from fintts_cli.infra import Span
from fintts_cli.runs.instances.view import InstanceView
from fintts_cli.runs.status.follow import LAST_WORD_SECONDS, POLL_SECONDS, follow
from fintts_cli.runs.status.merge import view_run
from fintts_cli.runs.status.view import RunView
from fintts_store.errors import StoreUnreachable
from fintts_store.runs.records import Phase, StopForecast, StopReason
from run_samples import MINUTE, START, STOP_FORECAST, record, result, status

LIVE = InstanceView("pid 7", is_live=True, phase=Phase.PROVISIONING, created_at=START)
GONE = InstanceView("pid 7", is_live=False, created_at=START, ended_at=START + 12 * MINUTE)
UNKNOWN = InstanceView()
NOW = START + 10 * MINUTE


def test_a_run_without_heartbeat_is_pending_then_provisioning() -> None:
    assert view_run(record(), None, None, UNKNOWN, NOW).phase == Phase.PENDING
    assert view_run(record(), None, None, UNKNOWN, NOW).cost_so_far_usd == 0
    view = view_run(record(), None, None, LIVE, NOW)
    assert view.phase == Phase.PROVISIONING
    assert view.cost_so_far_usd == Decimal("0.2")
    assert (view.step, view.max_steps, view.loss) == (0, 3000, None)
    assert view.cost_to_finish_usd is None


def test_a_heartbeat_says_where_it_is_and_what_it_costs() -> None:
    view = view_run(record(), status(), None, LIVE, NOW)
    assert (view.phase, view.step, view.loss) == (Phase.TRAINING, 1000, 4.25)
    assert view.cost_so_far_usd == Decimal("0.2")
    assert view.cost_to_finish_usd is not None
    assert round(view.cost_to_finish_usd, 4) == Decimal("0.3133"), "40 s end the instance"
    assert not view.has_ended


def test_what_is_to_be_paid_includes_the_end_of_the_instance() -> None:
    """15 minutes to go, and three until the instance is gone, at $1.20 an hour."""
    asked = record(estimate={"teardown_seconds": 180.0})
    forecast = StopForecast(**STOP_FORECAST)
    view = view_run(asked, status(stop_forecast=forecast), None, LIVE, NOW)
    assert view.eta_seconds == 900
    assert view.cost_to_finish_usd == Decimal("0.36")
    assert view.stop_forecast is not None
    assert view.stop_forecast.to_go_usd == (0.26, 0.36, 0.56)
    assert view.stop_forecast.improvement_per_usd == pytest.approx(0.2), "it is paid in any case"
    leaving = view_run(asked, status(phase=Phase.STOPPING, eta_seconds=0.0), None, LIVE, NOW)
    assert leaving.cost_to_finish_usd == Decimal("0.06")
    ended = view_run(asked, status(), result(), GONE, START + 30 * MINUTE)
    assert ended.cost_to_finish_usd == 0


def test_billing_goes_on_until_the_instance_is_gone() -> None:
    view = view_run(record(), status(), result(), LIVE, START + 30 * MINUTE)
    assert view.phase == Phase.TEARING_DOWN
    assert not view.has_ended
    assert view.cost_so_far_usd == Decimal("0.6")
    gone = view_run(record(), status(), result(), GONE, START + 30 * MINUTE)
    assert gone.phase == Phase.DONE
    assert gone.has_ended
    assert gone.cost_so_far_usd == Decimal("0.24")
    assert gone.cost_to_finish_usd == 0


def test_from_another_laptop_the_result_alone_says_that_it_ended() -> None:
    view = view_run(record(), status(), result(), UNKNOWN, START + 30 * MINUTE)
    assert view.has_ended
    assert view.ended_well
    assert view.cost_so_far_usd == Decimal("0.4")


def test_a_trainer_that_falls_silent_is_not_waited_for() -> None:
    """A `fintts train` that was killed has no instance whose end anybody could see."""
    for minutes, is_over in ((1, False), (3, True)):
        view = view_run(record(), status(), None, UNKNOWN, NOW + minutes * MINUTE)
        assert view.has_ended is is_over
    assert not view_run(record(), status(), None, LIVE, NOW + 3 * MINUTE).has_ended
    left = status(phase=Phase.STOPPING)
    assert not view_run(record(), left, None, UNKNOWN, NOW).has_ended
    assert view_run(record(), left, None, UNKNOWN, NOW + MINUTE).has_ended


@pytest.mark.parametrize("reason", list(StopReason))
def test_only_failed_and_nan_are_bad_endings(reason: StopReason) -> None:
    view = view_run(record(), status(), result(stop_reason=reason, message="why"), GONE, NOW)
    bad = reason in (StopReason.FAILED, StopReason.NAN_LOSS)
    assert view.phase == (Phase.FAILED if bad else Phase.DONE)
    assert view.ended_well is not bad
    assert view.message == "why"


def test_a_vanished_instance_is_a_failure_that_says_what_is_saved() -> None:
    view = view_run(record(), status(message="disk full"), None, GONE, NOW)
    assert view.phase == Phase.FAILED
    assert view.has_ended
    assert not view.ended_well
    assert "ended at step 1000 without a result (disk full)" in str(view.message)
    assert "checkpoint of step 1000 was saved" in str(view.message)
    bare = view_run(record(), status(last_committed_step=None), None, GONE, NOW)
    assert "no checkpoint was saved" in str(bare.message)
    silent = view_run(record(), None, None, GONE, NOW)
    assert "never wrote a heartbeat" in str(silent.message)


def test_a_stale_heartbeat_is_said_and_not_taken_for_the_end() -> None:
    view = view_run(record(), status(), None, LIVE, START + 15 * MINUTE)
    assert view.phase == Phase.TRAINING
    assert view.message == "no heartbeat for 5 minutes"


def test_the_heartbeat_of_an_earlier_instance_says_where_the_run_stands() -> None:
    again = InstanceView("pid 9", is_live=True, phase=Phase.SETUP, created_at=START + 20 * MINUTE)
    view = view_run(record(), status(), None, again, START + 21 * MINUTE)
    assert (view.phase, view.step, view.message) == (Phase.SETUP, 1000, None)
    assert view.eta_seconds is None
    assert view.cost_so_far_usd == Decimal("0.02")


def test_the_document_has_the_contracts_keys() -> None:
    document = view_run(record(), status(), None, LIVE, NOW).to_json()
    contract = {
        "run", "phase", "step", "max_steps", "loss", "started_at", "deadline_at",
        "cost_so_far_usd", "cost_to_finish_usd", "infra", "instance",
    }  # fmt: skip
    assert contract <= set(document)
    assert document["started_at"] == "2026-11-23T09:00:00Z"
    assert document["cost_so_far_usd"] == 0.2
    assert document["phase"] == "training"


def test_following_ends_with_the_run_or_with_patience() -> None:
    running = view_run(record(), status(), None, LIVE, NOW)
    ended = view_run(record(), status(), result(), GONE, NOW)
    views = iter([running, running, ended])
    shown: list[RunView] = []
    waits: list[float] = []
    last = follow(lambda: next(views), shown.append, waits.append, nobody_listens)
    assert last is ended
    assert shown == [running, running, ended]
    assert len(waits) == 2
    waits.clear()
    again = follow(lambda: running, shown.append, waits.append, nobody_listens, limit_seconds=3)
    assert again is running
    assert sum(waits) == 3


def test_a_lost_instance_is_waited_for_until_its_last_word_is_overdue() -> None:
    running = view_run(record(), status(), None, LIVE, NOW)
    lost = view_run(record(), status(), None, GONE, NOW)
    ended = view_run(record(), status(), result(), GONE, NOW)
    shown: list[RunView] = []
    waits: list[float] = []
    views = iter([running, lost, lost, ended])
    assert follow(lambda: next(views), shown.append, waits.append, nobody_listens) is ended
    assert shown == [running, ended], "what was only so for a moment is not told"
    views, waits = chain([running], repeat(lost)), []
    assert follow(lambda: next(views), shown.append, waits.append, nobody_listens) is lost
    assert sum(waits) == POLL_SECONDS + LAST_WORD_SECONDS
    waits.clear()
    assert follow(lambda: lost, shown.append, waits.append, nobody_listens) is lost
    assert waits == [], "it was lost before anybody looked"


def nobody_listens(error: CloudError | StoreUnreachable) -> None:
    raise AssertionError(error)


class Weather:
    """Views of a run, and errors in place of some."""

    def __init__(self, *seen: RunView | CloudError | StoreUnreachable) -> None:
        self._seen = list(seen)
        self.waits: list[float] = []
        self.excuses: list[str] = []

    def look(self) -> RunView:
        one = self._seen.pop(0) if len(self._seen) > 1 else self._seen[0]
        if isinstance(one, RunView):
            return one
        raise one

    def follow(self) -> RunView:
        return follow(
            self.look,
            lambda _: None,
            self.waits.append,
            lambda error: self.excuses.append(error.message),
        )


def test_following_outlives_what_passes() -> None:
    running = view_run(record(), status(), None, LIVE, NOW)
    ended = view_run(record(), status(), result(), GONE, NOW)
    no_sky, no_store = CloudError("SkyPilot is starting"), StoreUnreachable("no network")
    weather = Weather(running, no_sky, no_store, running, no_store, ended)
    assert weather.follow() is ended
    assert weather.excuses == ["SkyPilot is starting", "no network"], "once in a row"


def test_following_gives_up_in_the_end_and_at_once_where_it_saw_nothing() -> None:
    running = view_run(record(), status(), None, LIVE, NOW)
    weather = Weather(running, StoreUnreachable("no network"))
    with pytest.raises(StoreUnreachable):
        weather.follow()
    assert 600 <= sum(weather.waits) < 700
    assert weather.excuses == ["no network"]
    weather = Weather(CloudError("there is no SkyPilot here"))
    with pytest.raises(CloudError):
        weather.follow()
    assert weather.waits == []


def test_a_rented_instance_that_nobody_saw_end_is_billed_for_its_teardown_and_no_longer() -> None:
    gone = InstanceView("fintts-x", is_live=False, phase=Phase.SETUP, created_at=START)
    looked_at = START + 600 * MINUTE
    view = view_run(record(infra="aws"), status(), result(), gone, looked_at)
    here = view_run(record(), status(), result(), gone, looked_at)
    assert view.ended_at is not None
    assert here.ended_at is not None
    assert (view.ended_at - here.ended_at).total_seconds() == 110
    assert view.cost_so_far_usd > here.cost_so_far_usd


def test_a_rented_instance_with_nothing_left_to_do_only_bills() -> None:
    live = InstanceView("fintts-x", is_live=True, phase=Phase.SETUP, created_at=START)
    assert view_run(record(infra="aws"), status(), result(), live, NOW).only_bills
    assert not view_run(record(), status(), result(), live, NOW).only_bills, "this machine"
    assert not view_run(record(infra="aws"), status(), None, live, NOW).only_bills
    unknown = InstanceView()
    assert not view_run(record(infra="aws"), status(), result(), unknown, NOW).only_bills


@pytest.mark.parametrize("is_over", [False, True])
def test_an_instance_on_which_nothing_works_is_told_in_its_cloud_s_words_and_billed(
    *, is_over: bool
) -> None:
    trouble = "Verda says offline: nothing works on it, and it may be billed"
    live = InstanceView(
        "fintts-x", is_live=True, phase=Phase.TEARING_DOWN, created_at=START, message=trouble
    )
    view = view_run(record(infra="verda"), status(), result() if is_over else None, live, NOW)
    assert (view.phase, view.message) == (Phase.TEARING_DOWN, trouble)
    later = NOW + 60 * MINUTE
    over = result() if is_over else None
    assert view_run(record(infra="verda"), status(), over, live, later).cost_so_far_usd > (
        view.cost_so_far_usd
    )


def test_a_run_whose_instance_was_taken_away_says_where_it_will_go_on() -> None:
    sought = InstanceView(
        "job", is_live=True, phase=Phase.PROVISIONING, created_at=START, is_recovering=True
    )
    view = view_run(record(infra="aws"), status(), None, sought, NOW)
    assert view.phase == Phase.PROVISIONING
    assert view.message is not None
    assert "resumes from step 1000" in view.message
    assert not view.has_ended
    early = view_run(record(infra="aws"), None, None, sought, NOW)
    assert early.message is not None
    assert "starts over" in early.message
    over = view_run(record(infra="aws"), status(), result(), sought, NOW)
    assert over.phase == Phase.TEARING_DOWN, "the trainer has had the last word"


def test_what_lies_between_two_instances_is_not_billed() -> None:
    spans = (
        Span(began=START, ended=START + 10 * MINUTE),
        Span(began=START + 40 * MINUTE, ended=None),
    )
    live = InstanceView("job", is_live=True, created_at=START + 40 * MINUTE, spans=spans)
    view = view_run(record(infra="aws"), status(), None, live, START + 60 * MINUTE)
    assert view.billed_seconds == 30 * 60
    assert view.cost_so_far_usd == Decimal("0.6")


def test_a_replacement_seen_at_a_moment_still_to_come_counts_from_the_end_before_it() -> None:
    spans = (
        Span(began=START, ended=START + 10 * MINUTE),
        Span(began=START + 40 * MINUTE, ended=None),
    )
    live = InstanceView("job", is_live=True, created_at=START + 40 * MINUTE, spans=spans)
    view = view_run(record(infra="aws"), None, None, live, START + 30 * MINUTE)
    assert view.billed_seconds == 30 * 60


def test_a_laptop_that_slept_does_not_bill_its_own_sleep() -> None:
    """SkyPilot heard eight hours later that the instance had ended itself."""
    night = START + 480 * MINUTE
    spans = (Span(began=START, ended=night),)
    last = status(updated_at=START + 20 * MINUTE)
    gone = InstanceView("job", is_live=False, created_at=START, ended_at=night, spans=spans)
    view = view_run(record(infra="aws"), last, result(), gone, night)
    assert view.billed_seconds == (20 + 11) * 60
    found_ended = (*spans, Span(began=night, ended=night + 3 * MINUTE))
    gone = InstanceView("job", is_live=False, created_at=night, ended_at=night, spans=found_ended)
    view = view_run(record(infra="aws"), last, result(), gone, night + 3 * MINUTE)
    assert view.billed_seconds == (20 + 11 + 3) * 60


def test_why_there_was_no_instance_is_said() -> None:
    gone = InstanceView("job", is_live=False, created_at=START, message="the quota is exceeded")
    view = view_run(record(infra="aws"), None, None, gone, NOW)
    assert view.message == "the run got no instance: the quota is exceeded"
    view = view_run(record(infra="aws"), status(), None, gone, NOW)
    assert view.message is not None
    assert "(the quota is exceeded)" in view.message
