"""Hugging Face's hub on loopback: the few requests by which its library downloads a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loopback_server import QuietHandler, loopback_server

COMMIT = "4f1c0ffee" * 4 + "0000"
OWNER_MODEL = "speech/tiny"


@dataclass
class Hub:
    """A hub with one repository, and what it was asked."""

    folder: Path
    model: str = OWNER_MODEL
    token: str | None = None
    """what has to be shown to download; None is a public repository"""
    url: str = ""
    asked: list[str] = field(default_factory=list[str])
    fetched: list[str] = field(default_factory=list[str])


@contextmanager
def hub(folder: Path, token: str | None = None, model: str = OWNER_MODEL) -> Generator[Hub]:
    """Serves the files of the folder as the newest commit of a model."""
    serving = Hub(folder, model, token)
    with loopback_server(_Handler, hub=serving) as serving.url:
        yield serving


class _Handler(QuietHandler):
    hub: Hub

    def _answer(self) -> None:
        hub = self.hub
        hub.asked.append(f"{self.command} {self.path}")
        path, _, _ = self.path.partition("?")
        api, resolve = f"/api/models/{hub.model}", f"/{hub.model}/resolve/"
        if path.startswith(api):
            self._answer_api(hub, path.removeprefix(api))
        elif path.startswith(resolve):
            self._answer_file(hub, *path.removeprefix(resolve).split("/", 1))
        else:
            self._refuse(401, "RepoNotFound")

    do_GET = do_HEAD = _answer  # noqa: N815 - http.server's names

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
        self.say(200, content, X_Repo_Commit=COMMIT, **({"ETag": f'"{etag}"'} if etag else {}))

    def _refuse(self, status: int, code: str) -> None:
        self.say(status, b"", X_Error_Code=code, X_Error_Message=code)
