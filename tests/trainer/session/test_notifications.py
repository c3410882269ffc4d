"""What notifications say, when they are sent, and that a URL that hangs delays nothing."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from fintts_inputs.notify.post import Event, Notification
from fintts_inputs.notify.urls import VARIABLE
from fintts_store.runs.laptop import UNKNOWN_LAPTOP
from fintts_store.runs.ledger import Asked, take_launch
from fintts_store.runs.records import Result, StopReason
from fintts_store.store import Store
from fintts_trainer.__main__ import main
from fintts_trainer.session.notifications import FORECAST_STEP, Notifications
from fintts_trainer.session.notifier import MOST_WAITING, Notifier
from memory_store import MemoryStore
from notify_server import notify_server
from tiny_run import start_run

BEGAN = datetime(2026, 12, 1, 9, tzinfo=UTC)
DEADLINE = BEGAN + timedelta(hours=5)
NOTIFICATION = Notification(Event.LAUNCHED, "tiny", "started", BEGAN)


class Heard(Notifier):
    """Keeps what is sent."""

    def __init__(self) -> None:
        super().__init__((), lambda _sentence: None)
        self.notifications: list[Notification] = []

    def __bool__(self) -> bool:
        return True

    def send(self, notification: Notification) -> None:
        self.notifications.append(notification)

    @property
    def texts(self) -> list[str]:
        return [notification.text for notification in self.notifications]


def launched(store: Store, launch: int = 1) -> None:
    take_launch(
        store,
        Asked(
            run="tiny",
            launch=launch,
            asker=UNKNOWN_LAPTOP,
            requested_at=BEGAN,
            infra="aws",
            rates_usd={"A100:1": Decimal("1.20"), "H100:1": Decimal(3)},
            deadline_at=DEADLINE,
            reserve_seconds=600,
            teardown_seconds=300,
        ),
    )


def at(hours: float) -> datetime:
    return BEGAN + timedelta(hours=hours)


def result(**fields: object) -> Result:
    content: dict[str, object] = {
        "run": "tiny",
        "stop_reason": StopReason.EARLY_STOPPING,
        "step": 2800,
        "best_step": 2300,
        "best_value": 3.2141,
        "monitor": "val/loss",
        "kept_steps": (),
        "phase_seconds": {},
        "samples_seen": 0,
        "claims": 1,
        "started_at": BEGAN,
        "ended_at": at(2),
    }
    return Result.model_validate(content | fields)


def test_a_run_tells_its_story_with_its_price() -> None:
    heard, store = Heard(), MemoryStore()
    launched(store)
    notifications = Notifications(heard, "tiny", BEGAN, DEADLINE)
    notifications.know_cost(store, 1, "A100:1")
    notifications.launched("A100:1", None, at(0.1))
    notifications.after_step(FORECAST_STEP - 1, 3000, 7200.0, at(0.5))
    notifications.after_step(FORECAST_STEP, 3000, 7200.0, at(0.5))
    notifications.new_best(300, "val/loss", 3.5, at(1))
    notifications.taken_away("the spot instance is being taken away", at(1.5))
    notifications.ended(result())
    assert heard.texts == [
        "started on A100:1; it ends by 2026-12-01 14:00 UTC at the latest",
        "all 3,000 steps would end at 2026-12-01 11:30 UTC, for at most $3.10, at $1.20 an hour",
        "new best val/loss 3.5000 at step 300; $1.20 so far",
        "the spot instance is being taken away; $1.80 so far",
        "stopped early at step 2,800; best val/loss 3.2141 at step 2,300; "
        "this launch costs at most $2.50, at $1.20 an hour",
    ]


def test_most_of_the_time_used_is_said_once() -> None:
    heard = Heard()
    notifications = Notifications(heard, "tiny", BEGAN, DEADLINE)
    for hours in (3.9, 4.0, 4.1):
        notifications.after_step(1200, 3000, None, at(hours))
    assert heard.texts == [
        "80 % of the time until the deadline at 2026-12-01 14:00 UTC is used, at step 1,200 of "
        "3,000"
    ]


def test_a_job_that_starts_late_says_so_as_it_starts() -> None:
    heard = Heard()
    notifications = Notifications(heard, "tiny", BEGAN, DEADLINE)
    notifications.launched("A100:1", 900, at(4.5))
    notifications.after_step(901, 3000, None, at(4.6))
    assert heard.texts == [
        "resumes from about step 900 on A100:1, with 80 % of its time used; it ends by 2026-12-01 "
        "14:00 UTC at the latest"
    ]


@pytest.mark.parametrize(
    ("launch", "gpus", "said"),
    [
        (1, "H100:1", "; $3.00 so far"),
        (1, "V100:1", "; $3.00 so far"),
        (1, None, "; $3.00 so far"),
        (2, "A100:1", ""),
        (None, None, ""),
    ],
)
def test_an_unknown_gpu_counts_as_the_dearest_and_an_unknown_launch_has_no_price(
    launch: int | None, gpus: str | None, said: str
) -> None:
    heard, store = Heard(), MemoryStore()
    launched(store)
    notifications = Notifications(heard, "tiny", BEGAN, DEADLINE)
    notifications.know_cost(store, launch, gpus)
    notifications.taken_away("interrupted", at(1))
    assert heard.texts == [f"interrupted{said}"]


@pytest.mark.parametrize(
    ("notifications", "said"),
    [(1, "did not take the last notification in time"), (MOST_WAITING + 2, "is too slow")],
)
def test_a_url_that_hangs_delays_neither_the_run_nor_the_others(
    notifications: int, said: str
) -> None:
    heard: list[str] = []
    with notify_server("hangs") as hung, notify_server() as well:
        bad = Notifier([hung.url], heard.append)
        Notifier([hung.url, well.url], list[str]().append).send(NOTIFICATION)
        for _ in range(notifications):
            bad.send(NOTIFICATION)
        assert well.has_taken.wait(30)
        bad.close(0.05)
    host = re.escape(hung.url[: hung.url.index("/services")])
    assert re.fullmatch(rf"notifications are lost: {host}/… {said}", heard[0])


def test_trouble_is_logged_once() -> None:
    said: list[str] = []
    with notify_server("refuses") as server:
        notifier = Notifier([server.url], said.append)
        notifier.send(NOTIFICATION)
        notifier.send(NOTIFICATION)
        notifier.close(30)
    assert len(server.paths) == 2
    assert [sentence.partition("… ")[2] for sentence in said] == ["refuses it (HTTP 403)"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (137, "tiny: failed at step 0; the trainer was ended by SIGKILL, perhaps because"),
        (5, "tiny: this instance has stopped because of the store;"),
        (75, None),
        (0, None),
    ],
)
def test_what_the_trainer_could_not_send_is_sent_after_it(
    code: int, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_run(tmp_path)
    with notify_server() as server:
        for name in ("FINTTS_STORE", "FINTTS_RUN", "FINTTS_WORKSPACE"):
            monkeypatch.setenv(name, run.environment()[name])
        monkeypatch.setenv(VARIABLE, server.url)
        assert main(["conclude", "--exit-code", str(code)]) == 0
    assert [body["text"].startswith(said or "") for body in server.bodies] == (
        [] if said is None else [True]
    )
    assert os.environ[VARIABLE] == server.url
