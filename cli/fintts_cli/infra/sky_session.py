"""SkyPilot's SDK as the adapters use it: imported late, silent, its errors in a sentence.

Its server, a process on this machine unless the user has one elsewhere, asks the clouds.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CloudError
from fintts_store.durable import make_directories

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
LAUNCH = re.compile(r"(^|\.)launch$")
"""what SkyPilot's server calls a request for an instance: sky.launch, sky.jobs.launch"""


def require_sky() -> None:
    """Raises CloudError where SkyPilot is not installed."""
    if find_spec("sky") is None:
        raise CloudError("SkyPilot is not installed here", "pip install 'fintts[sky]'")


@contextmanager
def sky_session(log: Path) -> Generator[Any]:
    """The SDK, which takes two seconds to import; what it prints goes into the file, not to the
    user."""
    require_sky()
    os.environ.setdefault("SKYPILOT_DISABLE_USAGE_COLLECTION", "1")
    make_directories(log.parent)
    with log.open("a", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        import sky

        yield sky


def await_request(sky: Any, request: Any) -> None:
    """Returns when the request is answered; one that is interrupted is taken back."""
    try:
        sky.stream_and_get(request)
    except BaseException:
        with suppress(Exception):  # whatever it says, what was begun is removed next
            sky.get(sky.api_cancel(request))
        raise


def pending_launches(sky: Any, cluster: str | None = None) -> list[Any]:
    """The requests for an instance that SkyPilot's server has accepted and not finished; for that
    cluster, or all."""
    pending: list[Any] = sky.api_status(cluster_name=cluster)
    return [request for request in pending if LAUNCH.search(request.name)]


def take_back(sky: Any, cluster: str | None = None, *, of: str = "") -> None:
    """Takes back launches that are still pending.

    A terminal that was killed leaves its request behind: what it asks for may come into being
    after somebody has looked, and found nothing.

    Args:
        cluster: for which the instance is asked; None for a managed job.
        of: what the request speaks of, such as the job's name.
    """
    pending = pending_launches(sky, cluster)
    ours = [request.request_id for request in pending if of in request.request_body]
    if ours:
        sky.get(sky.api_cancel(ours))


def in_a_sentence(error: Exception, log: Path) -> CloudError:
    """SkyPilot's error; `log` is where the user finds the rest."""
    if isinstance(error, CloudError):
        return error
    sentence = first_sentence(str(error)) or type(error).__name__
    kind = type(error).__name__
    if kind == "ResourcesUnavailableError":
        return CloudError(
            f"no cloud has such an instance at this price now: {sentence}",
            "`fintts cloud offers` lists others; --infra, --gpus and --hourly-rate choose",
        )
    if kind == "NoCloudAccessError":
        return CloudError(
            "SkyPilot has no cloud enabled", "`sky check` says what each of them lacks"
        )
    return CloudError(f"SkyPilot: {sentence}", f"all it said is in {log}")


def first_sentence(text: str) -> str:
    """Without colours and line breaks, and without its full stop."""
    words = " ".join(ANSI.sub("", text).split())
    return re.split(r"(?<=[.!:]) ", words)[0].rstrip(".:")
