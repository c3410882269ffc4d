"""What a seller says of your account, asked through SkyPilot's own clients over loopback."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.sdk import import_sky
from fintts_cli.infra.sky.sellers.account import balance_usd, is_on_sale

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
            "/balance": {"amount": 12.5, "currency": "usd"},
            "/instance-availability/1A100.22V": True,
            "/instance-availability/1H100.80S.32V": False,
            "/instance-types": CATALOG,
        }
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                token = {"access_token": "t", "refresh_token": "r", "scope": "s"}
                self._say(token | {"token_type": "Bearer", "expires_in": 3600})

            def do_GET(self) -> None:
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = import_sky()
    monkeypatch.setattr(found.provision.lambda_cloud.lambda_utils, "API_ENDPOINT", url)
    return found


def test_verda_says_what_is_left_and_what_it_has(sky: Any, door: Door) -> None:
    assert balance_usd(sky, "verda") == Decimal("12.5")
    assert is_on_sale(sky, "verda", "1A100.22V") is True
    assert is_on_sale(sky, "verda", "1H100.80S.32V") is False
    for none in (0, -3.2):
        door.answers["/balance"] = {"amount": none}
        assert balance_usd(sky, "verda") == 0


@pytest.mark.parametrize("said", [{"amount": "much"}, {"amount": None}, [], "x", {"amount": {}}])
def test_an_answer_that_is_no_amount_is_called_that(sky: Any, door: Door, said: object) -> None:
    door.answers["/balance"] = said
    with pytest.raises(CloudError, match="verda gave no amount for the balance"):
        balance_usd(sky, "verda")


def test_lambda_says_in_how_many_regions_it_has_one_and_nothing_of_money(sky: Any) -> None:
    assert balance_usd(sky, "lambda") is None
    assert is_on_sale(sky, "lambda", "gpu_1x_a6000") is True
    assert is_on_sale(sky, "lambda", "gpu_1x_h100_pcie") is False
    assert is_on_sale(sky, "lambda", "gpu_of_nobody") is False


def test_runpod_and_vast_say_what_is_left_in_their_own_words() -> None:
    asked: list[str] = []

    def run_graphql_query(query: str) -> object:
        asked.append(query)
        return {"data": {"myself": {"clientBalance": 7.25}}}

    graphql = SimpleNamespace(run_graphql_query=run_graphql_query)
    runpod = SimpleNamespace(runpod=SimpleNamespace(api=SimpleNamespace(graphql=graphql)))
    vast = SimpleNamespace(vast=lambda: SimpleNamespace(show_user=lambda: {"credit": 3.5}))
    sky = SimpleNamespace(adaptors=SimpleNamespace(runpod=runpod, vast=vast))
    assert balance_usd(sky, "runpod") == Decimal("7.25")
    assert asked == ["query { myself { clientBalance } }"]
    assert balance_usd(sky, "vast") == Decimal("3.5")
    assert is_on_sale(sky, "runpod", "1x_A100-80GB_SECURE") is None
    assert balance_usd(sky, "gcp") is None
