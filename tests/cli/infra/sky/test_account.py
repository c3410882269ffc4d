"""What a seller says of your account, asked through SkyPilot's own clients over loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.sellers.account import account_at
from fintts_cli.infra.sky.server.sdk import import_sky

CATALOG = {
    "data": {
        "gpu_1x_a6000": {"regions_with_capacity_available": [{"name": "us-east-1"}]},
        "gpu_1x_h100_pcie": {"regions_with_capacity_available": []},
    }
}


class Door:
    """The questions of Verda's API and of Lambda's."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {
            "/instances": [],
            "/balance": {"amount": 12.5, "currency": "usd"},
            "/instance-availability/1A100.22V": True,
            "/instance-availability/1H100.80S.32V": False,
            "/lambda/instances": {"data": []},
            "/lambda/instance-types": CATALOG,
        }
        self.is_silent, self.go_on = False, threading.Event()
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                token = {"access_token": "t", "refresh_token": "r", "scope": "s"}
                self._say(token | {"token_type": "Bearer", "expires_in": 3600})

            def do_GET(self) -> None:
                if door.is_silent:
                    door.go_on.wait(30)
                self._say(door.answers[self.path])

            def _say(self, answer: object) -> None:
                text = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def sky(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The real one; its clients find keys and addresses of this test."""
    url = f"http://127.0.0.1:{door.server.server_port}"
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".lambda_cloud").mkdir()
    (tmp_path / ".lambda_cloud" / "lambda_keys").write_text("api_key = planted\n")
    for name, value in (("CLIENT_ID", "me"), ("CLIENT_SECRET", "secret"), ("BASE_URL", url)):
        monkeypatch.setenv(f"VERDA_{name}", value)
    found = import_sky()
    monkeypatch.setattr(found.provision.lambda_cloud.lambda_utils, "API_ENDPOINT", f"{url}/lambda")
    return found


def test_verda_says_what_is_left_and_what_it_has(sky: Any, door: Door) -> None:
    asked = account_at(sky, "verda", ["1A100.22V", "1H100.80S.32V"])
    assert asked == (Decimal("12.5"), {"1A100.22V": True, "1H100.80S.32V": False})
    for none in (0, -3.2):
        door.answers["/balance"] = {"amount": none}
        assert account_at(sky, "verda", []).balance_usd == 0


@pytest.mark.parametrize("said", [{"amount": "much"}, {"amount": None}, [], "x", {"amount": {}}])
def test_an_answer_that_is_no_amount_is_called_that(sky: Any, door: Door, said: object) -> None:
    door.answers["/balance"] = said
    with pytest.raises(CloudError, match="Verda gave no amount for the balance"):
        account_at(sky, "verda", [])


def test_lambda_says_in_how_many_regions_it_has_one_and_nothing_of_money(sky: Any) -> None:
    asked = account_at(sky, "lambda", ["gpu_1x_a6000", "gpu_1x_h100_pcie", "gpu_of_nobody"])
    assert asked.balance_usd is None
    assert list(asked.on_sale.values()) == [True, False, False]


def test_a_seller_that_does_not_answer_is_waited_for_with_a_limit(sky: Any, door: Door) -> None:
    door.is_silent = True
    with pytest.raises(CloudError, match="Verda did not answer within 0 s"):
        account_at(sky, "verda", [], within_seconds=0.2)
    door.go_on.set()


def test_no_seller_is_asked_for_a_server_elsewhere(
    sky: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sky.server.common, "is_api_server_local", lambda: False)
    assert account_at(sky, "verda", ["1A100.22V"]) == (None, {})


def test_runpod_and_vast_say_what_is_left_in_their_own_words() -> None:
    asked: list[str] = []

    def run_graphql_query(query: str) -> object:
        asked.append(query)
        return {"data": {"myself": {"clientBalance": 7.25}}}

    graphql = SimpleNamespace(run_graphql_query=run_graphql_query)
    runpod = SimpleNamespace(runpod=SimpleNamespace(api=SimpleNamespace(graphql=graphql)))
    vast = SimpleNamespace(vast=lambda: SimpleNamespace(show_user=lambda: {"credit": 3.5}))
    nothing = SimpleNamespace(utils=SimpleNamespace(list_instances=dict))
    common = SimpleNamespace(is_api_server_local=lambda: True)
    sky = SimpleNamespace(
        adaptors=SimpleNamespace(runpod=runpod, vast=vast),
        provision=SimpleNamespace(runpod=nothing, vast=nothing),
        server=SimpleNamespace(common=common),
    )
    assert account_at(sky, "runpod", ["1x_A100-80GB_SECURE"]) == (Decimal("7.25"), {})
    assert asked == ["query { myself { clientBalance } }"]
    assert account_at(sky, "vast", []).balance_usd == Decimal("3.5")
    assert account_at(sky, "gcp", []) == (None, {})
