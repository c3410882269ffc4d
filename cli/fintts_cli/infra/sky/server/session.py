"""SkyPilot's SDK as the adapters use it: imported late, silent, its errors as one sentence.

Its server asks the clouds; it runs on this machine unless the user has one elsewhere.
"""

from __future__ import annotations

import difflib
import os
import re
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CliError, CloudError, UsageProblem
from fintts_cli.infra.sky.server.plugins import with_plugins
from fintts_cli.infra.sky.server.sdk import import_sky
from fintts_cli.places import cloud_of
from fintts_store.disk.durable import make_directories
from fintts_store.proxies import is_url

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
SENTENCE_END = re.compile(r"(?<=[.!:])\s|\n\s*(?=[A-Z])")
NOT_ENABLED = re.compile(r"requires (\w+) which is not enabled")
OUT_OF_REACH = frozenset(
    {
        "ApiServerConnectionError",
        "ApiServerAuthenticationError",
        "APIVersionMismatchError",
        "ServerTemporarilyUnavailableError",
    }
)
"""SkyPilot's errors when its server is out of reach"""
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


def await_request(sky: Any, request: Any) -> None:
    """Returns once the request is answered; cancels the request if interrupted."""
    try:
        sky.stream_and_get(request)
    except BaseException:
        with suppress(Exception):  # errors do not matter: what was started is removed next
            sky.get(sky.api_cancel(request))
        raise


def enabled_clouds(sky: Any) -> set[str]:
    """The clouds that SkyPilot's last check found usable, as in `--infra`."""
    # Some of the SDK is missing from the package's own namespace.
    return {str(cloud).lower() for cloud in sky.get(sky.client.sdk.enabled_clouds())}


def clouds_of(sky: Any, infra: str) -> frozenset[str]:
    """The cloud of the infra; all that SkyPilot may use if it chooses."""
    cloud = cloud_of(infra)
    return frozenset({cloud} if cloud else enabled_clouds(sky))


def refuse_unknown_cloud(sky: Any, cloud: str) -> None:
    """Raises UsageProblem if SkyPilot knows no cloud of this name."""
    known = sorted(sky.utils.registry.CLOUD_REGISTRY)
    if cloud and cloud not in known:
        near = difflib.get_close_matches(cloud, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it knows {', '.join(known)}"
        raise UsageProblem(f"SkyPilot knows no cloud {cloud}", hint)


def require_offer(sky: Any, task: Any) -> None:
    """Passes on what SkyPilot raises if no enabled cloud has such an instance."""
    plan = sky.Dag()
    plan.add(task)
    sky.get(sky.optimize(plan))


def in_a_sentence(error: Exception, log: Path) -> CliError:
    """SkyPilot's error as one sentence; `log` names the file with the details."""
    if isinstance(error, CliError):
        return error
    sentence = first_sentence(str(error)) or type(error).__name__
    kind = type(error).__name__
    if is_out_of_reach(error):
        return CloudError(
            f"SkyPilot's server cannot be asked: {sentence}",
            "`sky api info` says where it is looked for, and `sky api login` says it anew",
        )
    disabled = NOT_ENABLED.search(sentence)
    if disabled is not None:
        cloud = disabled[1].lower()
        return CloudError(
            f"SkyPilot may not use {cloud}",
            f"`sky check {cloud}` says what is missing; --infra takes another cloud",
        )
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


def is_out_of_reach(error: Exception) -> bool:
    """Whether the error means that SkyPilot's server is out of reach."""
    return type(error).__name__ in OUT_OF_REACH


def first_sentence(text: str) -> str:
    """The first sentence, without colours, line breaks and final full stop. A line that starts with
    a capital letter starts a sentence: SkyPilot ends few lines with a full stop."""
    plain = ANSI.sub("", text).strip()
    return " ".join(SENTENCE_END.split(plain)[0].split()).rstrip(".:")
