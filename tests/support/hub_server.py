"""Hugging Face's hub on loopback: the few requests by which its library downloads a model."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "4f1c0ffee" * 4 + "0000"
OWNER_MODEL = "speech/tiny"


@dataclass
class Hub:
    """A hub with one repository, and what it was asked."""

    url: str
    folder: Path
    model: str = OWNER_MODEL
    token: str | None = None
    """what has to be shown to download; None is a public repository"""
    asked: list[str] = field(default_factory=list[str])
    fetched: list[str] = field(default_factory=list[str])


@contextmanager
def hub(folder: Path, token: str | None = None, model: str = OWNER_MODEL) -> Generator[Hub]:
    """Serves the files of the folder as the newest commit of a model."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    serving = Hub(f"http://127.0.0.1:{server.server_port}", folder, model, token)
    server.hub = serving  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield serving
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Silence."""

    def _answer(self) -> None:
        hub: Hub = self.server.hub  # type: ignore[attr-defined]
        hub.asked.append(f"{self.command} {self.path}")
        path, _, _ = self.path.partition("?")
        api, resolve = f"/api/models/{hub.model}", f"/{hub.model}/resolve/"
        if path.startswith(api):
            self._answer_api(hub, path.removeprefix(api))
        elif path.startswith(resolve):
            self._answer_file(hub, *path.removeprefix(resolve).split("/", 1))
        else:
            self._refuse(401, "RepoNotFound")

    def _answer_api(self, hub: Hub, rest: str) -> None:
        revision = rest.removeprefix("/revision/")
        if revision not in ("", "main", COMMIT):
            self._refuse(404, "RevisionNotFound")
            return
        names = sorted(path.name for path in hub.folder.iterdir())
        content = {"_id": "1", "id": hub.model, "sha": COMMIT}
        self._send(json.dumps(content | {"siblings": [{"rfilename": n} for n in names]}).encode())

    def _answer_file(self, hub: Hub, _revision: str, name: str) -> None:
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._refuse(403, "GatedRepo")
            return
        content = (hub.folder / name).read_bytes()
        if self.command == "GET":
            hub.fetched.append(name)
        self._send(content, etag=hashlib.sha256(content).hexdigest())

    def _send(self, content: bytes, etag: str | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", COMMIT)
        if etag:
            self.send_header("ETag", f'"{etag}"')
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()
