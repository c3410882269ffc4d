"""SkyPilot's SDK as the adapters use it: imported late, silent, its errors as one sentence.

Its server asks the clouds; it runs on this machine unless the user has one elsewhere.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.server.errors import first_sentence
from fintts_cli.infra.sky.server.plugins import with_plugins
from fintts_cli.infra.sky.server.sdk import import_sky
from fintts_store.disk.durable import make_directories
from fintts_store.network.proxies import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager
    from pathlib import Path

    Session = Callable[[Path], AbstractContextManager[Any]]
    """opens SkyPilot's SDK; its output goes to that file"""

SERVER = "SKYPILOT_API_SERVER_ENDPOINT"


def require_sky() -> None:
    """Raises CloudError if SkyPilot is not installed."""
    if find_spec("sky") is None:
        raise CloudError("SkyPilot is not installed here", "pip install 'fintts[sky]'")


def _refuse_malformed_server() -> None:
    """Refuses a malformed server address before SkyPilot quotes it, or only says that it cannot
    parse it."""
    endpoint = os.environ.get(SERVER, "")
    if endpoint and not (endpoint.startswith(("http://", "https://")) and is_url(endpoint)):
        raise CloudError(f"{SERVER} is not the URL of a server", "write https://HOST, or unset it")


@contextmanager
def sky_session(log: Path) -> Generator[Any]:
    """The SDK, which takes two seconds to import; its output goes into the file, not to the
    user."""
    require_sky()
    _refuse_malformed_server()
    os.environ.setdefault("SKYPILOT_DISABLE_USAGE_COLLECTION", "1")
    make_directories(log.parent)
    with (
        log.open("a", encoding="utf-8") as file,
        redirect_stdout(file),
        redirect_stderr(file),
        _with_plugins(),
    ):
        yield _imported(log)


@contextmanager
def _with_plugins() -> Generator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(with_plugins())
        except ValueError as error:
            raise CloudError(str(error), "correct or remove it") from error
        yield


def _imported(log: Path) -> Any:
    """Imports the SDK. This reads its settings and writes to the home folder, and either may
    fail."""
    try:
        return import_sky()
    except Exception as error:
        sentence = first_sentence(str(error)) or type(error).__name__
        if isinstance(error, OSError) and error.filename:
            sentence = f"{error.filename}: {error.strerror}"
        raise CloudError(
            f"SkyPilot cannot be loaded: {sentence}",
            f"it writes into your home folder, which HOME names; all it said is in {log}",
        ) from error
