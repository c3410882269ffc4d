"""Where tests see and change what the sellers know: plain HTTP, on this side of the bridge only.

GET /NAME says what is rented and who asked; POST /NAME/faults, no-faults, clear, status and take
change it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict
from http.server import ThreadingHTTPServer
from typing import Any

from rig import network
from rig.doors.stock import Faults, Seller
from rig.sites import Answer, Request, handler_of

URL = f"http://{network.GATEWAY}:{network.CONSOLE_PORT}"


class Console:
    """A site with all sellers by name."""

    def __init__(self, sellers: Iterable[Seller]) -> None:
        self._sellers = {seller.name: seller for seller in sellers}

    def answer(self, request: Request) -> Answer:
        name, _, what = request.path.strip("/").partition("/")
        seller = self._sellers[name]
        with seller.stock.lock:
            if what:
                _change(seller, what, request.body)
            return Answer(200, _state(seller))


def serve(sellers: Iterable[Seller]) -> None:
    handler = handler_of({network.GATEWAY: Console(sellers)})
    server = ThreadingHTTPServer((network.GATEWAY, network.CONSOLE_PORT), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def _change(seller: Seller, what: str, asked: dict[str, Any]) -> None:
    match what:
        case "faults":
            for name, value in asked.items():
                setattr(seller.stock.faults, name, value)
        case "no-faults":
            seller.stock.faults = Faults()
        case "clear":
            for one in seller.stock.living():
                one.end("deleted", "the test")
        case "status":
            seller.stock.rented[asked["id"]].status = asked["status"]
        case "take":
            seller.take(asked["id"])  # type: ignore[attr-defined]  # who sells spot instances has it
        case _:
            raise LookupError(what)


def _state(seller: Seller) -> dict[str, object]:
    volumes: dict[str, Any] = getattr(seller, "volumes", {})
    return {
        "rented": [asdict(one) for one in seller.stock.rented.values()],
        "volumes": [asdict(one) for one in volumes.values()],
        "calls": list(seller.stock.calls),
    }
