"""Every command: its name, its module, and its line in the help of its group.

A command's module is imported only when the command runs or shows its own help. So `fintts --help`
loads none of them, and each module imports what it needs at its top.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from fintts_cli.commands.strict import StrictCommand

if TYPE_CHECKING:
    from collections.abc import MutableMapping


class Entry(NamedTuple):
    """A command: its module below `fintts_cli.commands`, and the first sentence of its help."""

    module: str
    summary: str


COMMANDS = {
    "init": Entry("init", "Write a commented fintts.yaml."),
    "estimate": Entry("estimate", "Estimate time and cost of the run."),
    "train": Entry("train", "Train on this machine."),
    "speak": Entry("speak", "Speak a text, so that you hear a run's result."),
    "export": Entry("export", "Export the best checkpoint of a run."),
    "doctor": Entry("doctor", "Show what a launch still needs."),
}
DATA = {
    "encode": Entry("data.encode", "Turn recordings into training data."),
    "check": Entry("data.check", "Validate pairs or recordings."),
    "pack": Entry("data.pack", "Pack a data folder into one file."),
}
CLOUD = {
    "offers": Entry("cloud.offers", "List every offer for a GPU."),
    "launch": Entry("cloud.launch", "Estimate, confirm, launch, follow."),
    "ps": Entry("cloud.ps", "List all runs."),
    "watch": Entry("cloud.watch", "Show one run live."),
    "logs": Entry("cloud.logs", "Print the log of a run."),
    "stop": Entry("cloud.stop", "Save, upload, then tear down."),
    "down": Entry("cloud.down", "Tear down now."),
    "pull-checkpoints": Entry("cloud.pull_checkpoints", "Download checkpoints."),
    "pin": Entry("cloud.pin", "Pin a checkpoint."),
    "unpin": Entry("cloud.pin", "Unpin a checkpoint."),
    "prune": Entry("cloud.prune", "Remove old checkpoints."),
    "listen": Entry("cloud.listen", "Hear a run step by step."),
    "report": Entry("cloud.report", "Compare estimate and actual."),
    "compare": Entry("cloud.compare", "Compare several runs."),
    "tensorboard": Entry("cloud.tensorboard", "Open a run's curves in TensorBoard."),
    "reap": Entry("cloud.reap", "Remove instances that no run needs."),
}
STORE = {"check": Entry("store.check", "Probe a store and verify its contents.")}


class CommandTable(TyperGroup):
    """A group that takes its commands from a table; Typer adds the groups below it."""

    entries: ClassVar[Mapping[str, Entry]] = COMMANDS

    def __init__(self, **attributes: Any) -> None:  # Typer's own, by name
        groups = cast("dict[str, TyperGroup]", attributes.pop("commands", None) or {})
        loaded = Loaded(self.entries, groups)
        super().__init__(commands=cast("dict[str, Any]", loaded), **attributes)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # click's classes are private to Typer
        """Writes the list of commands without loading any."""
        groups = cast("MutableMapping[str, TyperGroup]", self.commands)
        rows = [
            (name, entry.summary if (entry := self.entries.get(name)) else str(groups[name].help))
            for name in groups
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class DataCommands(CommandTable):
    """`fintts data`."""

    entries = DATA


class CloudCommands(CommandTable):
    """`fintts cloud`."""

    entries = CLOUD


class StoreCommands(CommandTable):
    """`fintts store`."""

    entries = STORE


class Loaded(Mapping[str, Any]):
    """Commands by name, each loaded on first use; groups are loaded already."""

    def __init__(self, entries: Mapping[str, Entry], groups: Mapping[str, TyperGroup]) -> None:
        self._entries = entries
        self._known: dict[str, TyperCommand | TyperGroup] = dict(groups)
        self._names = [*entries, *groups]

    def __getitem__(self, name: str) -> TyperCommand | TyperGroup:
        if name in self._entries and name not in self._known:
            self._known[name] = load(name, self._entries[name])
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._names

    def __len__(self) -> int:
        return len(self._names)


def load(name: str, entry: Entry) -> TyperCommand:
    """The command of an entry: the function of its name in its module."""
    module = import_module(f"fintts_cli.commands.{entry.module}")
    alone = typer.Typer(rich_markup_mode=None, add_completion=False)
    function = getattr(module, name.replace("-", "_"))
    alone.command(name, cls=StrictCommand, short_help=entry.summary)(function)
    return cast("TyperCommand", get_command(alone))
