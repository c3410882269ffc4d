"""SkyPilot's errors as one sentence each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CliError, CloudError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    Session = Callable[[Path], AbstractContextManager[Any]]
    """opens SkyPilot's SDK; its output goes to that file"""

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
