"""The command line in this process, with its tree of commands made once: that takes longer than
most commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import mock

from typer import testing
from typer.main import get_command

from fintts_cli.app import build

APP = build()
TREE = get_command(APP)


def invoke(arguments: Sequence[str], **more: Any) -> testing.Result:
    """`fintts ARGUMENTS`; `more` is for Typer's own runner, which would make the tree each time."""
    with mock.patch.object(testing, "_get_command", return_value=TREE):
        return testing.CliRunner().invoke(APP, list(arguments), **more)
