"""A notification reaches its URL or fails in a sentence, and no sentence contains the URL."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from documents import document
from fintts_inputs.notify.post import Event, NotDelivered, Notification, post
from fintts_inputs.notify.urls import as_secret, checked_url, keep_secret, shown, urls_in
from fintts_store.output.redaction import without_secrets
from notify_server import PATH, Trouble, notify_server

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
NOTIFICATION = Notification(Event.NEW_BEST, "tiny", "best – ever", NOON)
SECRET = "plantedNotifySecret"


def test_a_server_gets_the_event_and_the_sentence_under_the_names_that_chats_read() -> None:
    with notify_server() as server:
        post(server.url, NOTIFICATION)
    assert server.bodies == [
        {
            "event": "new_best",
            "run": "tiny",
            "text": "tiny: best – ever",
            "content": "tiny: best – ever",
            "at": "2026-12-01T12:00:00+00:00",
        }
    ]


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("hangs", "does not answer within 0 s"),
        ("refuses", "refuses it (HTTP 403)"),
        ("redirects", "redirects (HTTP 307)"),
        ("raves", "gives no answer that can be read"),
    ],
)
def test_a_server_that_does_not_take_it_is_a_sentence(trouble: Trouble, said: str) -> None:
    with notify_server(trouble) as server, pytest.raises(NotDelivered) as caught:
        post(server.url, NOTIFICATION, timeout_seconds=0.1)
    assert str(caught.value) == said
    assert server.paths == [PATH]  # a redirect is not followed


def test_a_server_that_is_not_there_is_a_sentence() -> None:
    with notify_server() as server:
        url = server.url
    with pytest.raises(NotDelivered, match=r"^cannot be reached$"):
        post(url, NOTIFICATION)


@pytest.mark.parametrize(
    "text",
    [
        f"ftp://host/{SECRET}",
        f"hooks.example.com/{SECRET}",
        f"https:///{SECRET}",
        f"https://me:{SECRET}@host/x",
        f"https://host:port/{SECRET}",
        f"https://[::1/{SECRET}",
        f"https://host/{SECRET}\n",
        f"https://höst/{SECRET}",
    ],
)
def test_what_cannot_get_a_post_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="URL") as caught:
        checked_url(text)
    assert SECRET not in str(caught.value)


def test_urls_travel_in_one_variable_that_every_process_redacts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    urls = (f"https://one.example.com/{SECRET}", "http://[::1]:8080/hooks/second?key=abcdef")
    secret = as_secret(urls)
    for name, value in secret.items():
        monkeypatch.setenv(name, value)
    assert urls_in(secret) == urls
    for url in urls:
        assert url not in without_secrets(f"at {url}!")
    assert as_secret(()) == {}


def test_a_url_is_redacted_with_its_host_and_without() -> None:
    keep_secret(["https://hooks.example.com/services/T1/B1/anotherPlanted"])
    said = "POST /services/T1/B1/anotherPlanted to https://hooks.example.com/services/T1/B1/another"
    assert "anotherPlanted" not in without_secrets(said)
    assert shown("https://hooks.example.com:8443/services/x") == "https://hooks.example.com:8443/…"


def test_the_settings_list_every_event_that_a_run_sends() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", document("docs/settings.md").text, re.MULTILINE)
    assert {*listed} >= {event.value for event in Event if event != Event.TEST}
