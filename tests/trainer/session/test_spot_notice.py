"""What clouds announce is heard, from services that speak as theirs do, and nothing else is."""

from __future__ import annotations

import json
import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from fintts_trainer.session.preemption import GRACE_SECONDS, Preemption
from fintts_trainer.session.spot_notice import (
    AWS_ADDRESS,
    ROUNDS,
    Aws,
    Azure,
    Gcp,
    MetadataResponse,
    MetadataService,
    SpotNotice,
    SpotNoticePoller,
    aws_notice,
    azure_notice,
    metadata_services,
)
from metadata_server import MACHINE, Cloud, MetadataServer, metadata_server

NOON = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
AT: dict[str, str] = {
    "aws": "2026-11-28T12:03:20Z",
    "azure": "Sat, 28 Nov 2026 12:03:20 GMT",
    "gcp": "",
}
CLOUDS: tuple[Cloud, ...] = ("aws", "azure", "gcp")
SHORT_SECONDS = 0.3
"""to wait for an answer that does not come"""
SERVICES: dict[str, type[Aws] | type[Azure] | type[Gcp]] = {"aws": Aws, "azure": Azure, "gcp": Gcp}


@dataclass
class Heard:
    """By a watch."""

    notices: list[SpotNotice] = field(default_factory=list[SpotNotice])
    once: threading.Event = field(default_factory=threading.Event)

    def heed(self, notice: SpotNotice) -> None:
        self.notices.append(notice)
        self.once.set()


@contextmanager
def watch(*services: MetadataService) -> Generator[tuple[SpotNoticePoller, Heard]]:
    heard = Heard()
    watching = SpotNoticePoller(heard.heed, services, every_seconds=0.02)
    watching.start()
    yield watching, heard
    watching.end()
    watching.thread.join(timeout=10)
    assert not watching.thread.is_alive()


def of_all(url: str, timeout_seconds: float = 2.0) -> tuple[MetadataService, ...]:
    return tuple(service(url, timeout_seconds) for service in SERVICES.values())


def wait_for_questions(server: MetadataServer, count: int) -> None:
    """So many more."""
    target, patience = len(server.asked) + count, threading.Event()
    for _ in range(1000):
        if len(server.asked) >= target:
            return
        patience.wait(0.01)
    raise AssertionError(f"only these: {server.asked}")


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_notice_is_heard_once_from_whichever_cloud_it_is(cloud: Cloud) -> None:
    with metadata_server(cloud) as server, watch(*of_all(server.url)) as (watching, heard):
        wait_for_questions(server, 10)
        assert heard.notices == []
        before = datetime.now(UTC)
        server.announce(AT[cloud])
        assert heard.once.wait(10)
        watching.thread.join(10)
        (notice,) = heard.notices
        assert notice.ends_at is not None
        if cloud == "gcp":
            assert 20 < (notice.ends_at - before).total_seconds() < 30
        else:
            assert str(notice) == "the spot instance is being taken away at 12:03:20 UTC"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_no_cloud_is_taken_for_another(cloud: Cloud) -> None:
    with metadata_server(cloud) as server:
        here = [name for name, service in SERVICES.items() if service(server.url).is_here()]
    assert here == [cloud]


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("trouble", ["hangs", "fails", "raves"])
def test_a_service_that_falters_is_asked_on(
    cloud: Cloud, trouble: Literal["hangs", "fails", "raves"]
) -> None:
    with (
        metadata_server(cloud) as server,
        watch(*of_all(server.url, SHORT_SECONDS)) as (
            watching,
            heard,
        ),
    ):
        wait_for_questions(server, 10)
        server.trouble = trouble
        server.announce(AT[cloud])
        wait_for_questions(server, 2 * ROUNDS)
        assert heard.notices == []
        assert watching.thread.is_alive()
        server.trouble = None
        assert heard.once.wait(10)


@pytest.mark.parametrize("trouble", ["hangs", "fails"])
def test_where_no_cloud_answers_none_is_asked_on(
    trouble: Literal["hangs", "fails"], capfd: pytest.CaptureFixture[str]
) -> None:
    with metadata_server("aws") as server:
        server.trouble = trouble
        with watch(*of_all(server.url, SHORT_SECONDS)) as (watching, heard):
            watching.thread.join(10)
            assert not watching.thread.is_alive()
        assert len(server.asked) == 3 * ROUNDS
    assert heard.notices == []
    assert capfd.readouterr() == ("", "")


def test_where_nobody_listens_none_is_asked_on() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unheard.getsockname()[1]}"
        with watch(*of_all(url)) as (watching, heard):
            watching.thread.join(10)
            assert not watching.thread.is_alive()
    assert heard.notices == []


def test_a_token_that_is_too_old_is_renewed() -> None:
    with metadata_server("aws") as server:
        service = Aws(server.url)
        assert service.is_here()
        assert service.notice(NOON) is None
        server.tokens.clear()
        server.announce(AT["aws"])
        assert service.notice(NOON) == SpotNotice(NOON + timedelta(minutes=3, seconds=20))
        assert len(server.tokens) == 1


def test_no_proxy_stands_between(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    with metadata_server("aws") as server:
        assert Aws(server.url).is_here()


@pytest.mark.parametrize("address", ["nonsense", "http://[", "http://127.0.0.1:x/", "http://"])
def test_an_address_that_cannot_be_asked_is_one_without_an_answer(address: str) -> None:
    service = Aws(address)
    assert not service.is_here()
    assert service.notice(NOON) is None


def test_aws_is_found_where_its_own_tools_are_told_that_it_is() -> None:
    with metadata_server("aws") as server:
        aws, azure, gcp = metadata_services({AWS_ADDRESS: f"{server.url}/"})
        assert aws.is_here()
        assert server.asked == ["PUT /latest/api/token"]
    assert isinstance(azure, Azure)
    assert isinstance(gcp, Gcp)


@pytest.mark.parametrize(
    ("status", "text", "notice"),
    [
        (200, '{"action": "terminate", "time": "2026-11-28T12:00:00Z"}', SpotNotice(NOON)),
        (200, '{"action": "hibernate", "time": "2026-11-28T12:00:00"}', SpotNotice(NOON)),
        (200, '{"action": "stop", "time": "soon"}', SpotNotice(None)),
        (200, '{"action": "stop"}', SpotNotice(None)),
        (200, '{"time": "2026-11-28T12:00:00Z"}', None),
        (200, '["terminate"]', None),
        (200, "[" * 60_000, None),
        (200, "", None),
        (404, '{"action": "terminate", "time": "2026-11-28T12:00:00Z"}', None),
    ],
)
def test_what_aws_says(status: int, text: str, notice: SpotNotice | None) -> None:
    assert aws_notice(MetadataResponse(status, text)) == notice


@pytest.mark.parametrize(
    ("event", "seconds"),
    [
        ({"EventType": "Preempt", "Resources": [MACHINE], "NotBefore": AT["azure"]}, 200),
        ({"EventType": "Preempt", "Resources": [MACHINE.upper()], "NotBefore": AT["azure"]}, 200),
        ({"EventType": "Preempt", "NotBefore": AT["azure"]}, 200),
        ({"EventType": "Preempt", "Resources": [MACHINE], "EventStatus": "Started"}, 25),
        ({"EventType": "Preempt", "Resources": [MACHINE], "NotBefore": ""}, 25),
        ({"EventType": "Preempt", "Resources": ["a-neighbour"], "NotBefore": AT["azure"]}, None),
        ({"EventType": "Freeze", "Resources": [MACHINE], "NotBefore": AT["azure"]}, None),
    ],
)
def test_what_azure_says(event: dict[str, object], seconds: float | None) -> None:
    expected = None if seconds is None else SpotNotice(NOON + timedelta(seconds=seconds))
    freeze = {"EventType": "Freeze", "Resources": [MACHINE]}
    answer = MetadataResponse(200, json.dumps({"Events": [freeze, event]}))
    assert azure_notice(answer, MACHINE, NOON) == expected


@pytest.mark.parametrize(
    ("left", "grace"), [(None, GRACE_SECONDS), (500, GRACE_SECONDS), (100, 95), (7, 5), (-60, 5)]
)
def test_the_upload_is_given_what_the_instance_has_left(left: float | None, grace: float) -> None:
    preemption = Preemption()
    assert (preemption.is_requested, preemption.grace_seconds(NOON)) == (False, GRACE_SECONDS)
    preemption.notice = SpotNotice(None if left is None else NOON + timedelta(seconds=left))
    assert (preemption.is_requested, preemption.grace_seconds(NOON)) == (True, grace)


@pytest.mark.parametrize(("left", "stay"), [(None, 0), (91, 0), (89, 119), (-10, 20), (-600, 0)])
def test_who_has_too_little_time_to_be_heard_lives_as_long_as_the_instance(
    left: float | None, stay: float
) -> None:
    preemption = Preemption()
    preemption.notice = SpotNotice(None if left is None else NOON + timedelta(seconds=left))
    assert preemption.seconds_to_wait(NOON) == stay


def test_a_signal_ends_the_stay() -> None:
    preemption = Preemption()
    preemption.notice = SpotNotice(datetime.now(UTC) + timedelta(seconds=10))
    told = list[str]()
    waiting = threading.Thread(target=preemption.wait_for_end, args=(told.append,))
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    assert told == ["everything is done; waiting for the end of the instance, at most 40 s"]
    preemption.signal = signal.SIGTERM
    waiting.join(5)
    assert not waiting.is_alive()
