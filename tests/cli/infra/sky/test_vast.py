"""Vast's own client and SkyPilot's, against a server that speaks Vast's API on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

CLIENT = Path(__file__).parents[4] / ".test-servers/vast/lib/python3.11/site-packages"
KEY = "only-vast-knows"
PROGRAM = """
import json, sys
sys.path.append(sys.argv[1])  # what this environment has comes first
from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.launch.refusals import in_the_seller_s_words
from fintts_cli.infra.sky.sellers.vast import Vast
from fintts_cli.infra.sky.server.sdk import import_sky
sky, vast = import_sky(), Vast()
import sky.adaptors.vast, sky.provision.vast.utils
try:
    for one in sys.argv[2:]:
        vast.remove(sky, one)
    found = vast.instances(sky)
    listed = [[each.id, each.name, each.status, str(each.created_at)] for each in found]
    answer = {"listed": listed, "balance": str(vast.balance_usd(sky))}
except Exception as error:
    told = in_the_seller_s_words(vast.title, error)
    answer = {"error": told.message, "hint": told.hint}
print(json.dumps(answer))
"""


class Door(BaseHTTPRequestHandler):
    """Vast's API, as far as a list, a deletion and a balance go."""

    server: Server

    def do_GET(self) -> None:
        if self._is_stranger():
            return
        where = urlsplit(self.path)
        if where.path.rstrip("/") == "/api/v0/users/current":
            self._say(200, {"credit": 7.25, "email": "me@example.com"})
            return
        assert where.path == "/api/v1/instances/"
        (after,) = parse_qs(where.query).get("after_token", [""])
        rest = [key for key in sorted(self.server.listed) if key > after]
        page = {"instances": [self.server.listed[key] for key in rest[:1]]}
        self._say(200, page | ({"next_token": rest[0]} if rest[1:] else {}))

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self._is_stranger():
            return
        [key] = [part for part in self.path.split("/") if part in self.server.listed]
        if self.server.keeps_what_it_should_delete:
            self._say(400, {"success": False, "error": "failed", "msg": "not now"})
            return
        del self.server.listed[key]
        self._say(200, {"success": True})

    def _is_stranger(self) -> bool:
        if self.headers["Authorization"] == f"Bearer {KEY}":
            return False
        told = {"success": False, "error": "auth_error", "msg": "Invalid user key"}
        self._say(401, told)
        return True

    def _say(self, status: int, answer: object) -> None:
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    """Lists instances in pages of one, and deletes them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Door)
        self.listed: dict[str, dict[str, Any]] = {}
        self.keeps_what_it_should_delete = False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def rent(self, key: str, label: str, status: str | None) -> None:
        self.listed[key] = {
            "id": int(key),
            "label": label,
            "actual_status": status,
            "start_date": 1_795_000_000.0,
            "extra_env": [],
        }


@pytest.fixture
def vast() -> Iterator[Server]:
    if not CLIENT.exists() and not os.environ.get("CI"):
        pytest.skip("Vast's client is not installed; make servers installs it")
    made = Server()
    made.rent("11", "fintts-mine-aaaa-head", "running")
    made.rent("12", "fintts-other-bbbb-head", "exited")
    made.rent("13", "fintts-new-cccc-head", None)
    yield made
    made.shutdown()
    made.server_close()


def ask(vast: Server, home: Path, *removed: str, key: str = KEY) -> dict[str, Any]:
    """What our seller says, in a process whose HOME is empty, after it removed these."""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "ignore", "-c", PROGRAM, CLIENT, *removed],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "VAST_URL": f"http://127.0.0.1:{vast.server_port}",
            "VAST_API_KEY": key,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_every_page_of_instances_is_listed_with_the_seller_s_word(
    vast: Server, tmp_path: Path
) -> None:
    answer = ask(vast, tmp_path)
    begun = "2026-11-18 11:06:40+00:00"
    assert answer == {
        "listed": [
            ["11", "fintts-mine-aaaa-head", "RUNNING", begun],
            ["12", "fintts-other-bbbb-head", "EXITED", begun],
            ["13", "fintts-new-cccc-head", "UNKNOWN", begun],
        ],
        "balance": "7.25",
    }


def test_one_is_removed_and_the_others_stay(vast: Server, tmp_path: Path) -> None:
    answer = ask(vast, tmp_path, "12")
    assert [each[0] for each in answer["listed"]] == ["11", "13"]
    assert sorted(vast.listed) == ["11", "13"]


def test_one_that_refuses_to_go_is_no_success(vast: Server, tmp_path: Path) -> None:
    vast.keeps_what_it_should_delete = True
    answer = ask(vast, tmp_path, "12")
    assert answer["error"].startswith("Vast says: ")
    assert "12" in vast.listed


def test_a_wrong_key_is_said_with_what_to_do(vast: Server, tmp_path: Path) -> None:
    answer = ask(vast, tmp_path, key="a-stranger")
    assert answer["error"].startswith("Vast says: ")
    assert "make a new key" in answer["hint"]
    assert "a-stranger" not in json.dumps(answer)
