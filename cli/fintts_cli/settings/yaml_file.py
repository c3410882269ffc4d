"""A YAML settings file, read strictly: each key with its value, its line, and its spelling.

Scalars follow YAML 1.2 (`scalars.py`). The file holds one document, and nothing that makes a small
file large or runs code: no anchors, aliases, merges or tags. A key appears once, either in its
section or dotted.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import yaml

from fintts_cli.errors import ConfigError
from fintts_cli.settings.scalars import scalar
from fintts_cli.settings.yaml_slips import TEMPLATE, Slip, cut, glued_line, short, slip_of
from fintts_cli.settings.yaml_text import UTF_8, read_text
from fintts_store.runs.limits import YAML_DEPTH

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

EXAMPLE = "`fintts init --config example.yaml` writes an example with every key"


class Entry(NamedTuple):
    """A key of the file and its value."""

    key: str
    """dotted: training.max_steps"""
    value: object
    written: str
    """the value as written in the file; empty for a list or a section"""
    line: int
    """from 1"""


@dataclass(frozen=True)
class YamlFile:
    """A file, and the keys that it may hold."""

    path: Path
    keys: Collection[str]
    """dotted; the part before a dot is a section"""

    @cached_property
    def sections(self) -> set[str]:
        """Keys that contain other keys."""
        return {key.rpartition(".")[0] for key in self.keys} - {""}

    def entries(self) -> dict[str, Entry]:
        """Dotted key → its entry, including unknown keys.

        Raises:
            ConfigError: the file cannot be read, or holds something that fintts does not accept.
        """
        text = read_text(self.path)
        node = self._parsed(text)
        if node is None or _is_null(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self._refuse_glued(text, node)
            self._refuse(node, f"there is {_what(node)} instead of `key: value` lines", EXAMPLE)
        found: dict[str, Entry] = {}
        for entry in self._walk(node, text):
            if (before := found.get(entry.key)) is not None:
                raise ConfigError(
                    f"{self.path.name}:{entry.line} sets {cut(entry.key)} again, after line "
                    f"{before.line}",
                    "keep one of the two",
                )
            found[entry.key] = entry
        return {key: entry for key, entry in found.items() if key not in self.sections}

    def _parsed(self, text: str) -> yaml.Node | None:
        try:
            return _CheckedLoader(text, self._refuse_feature).get_single_node()
        except yaml.MarkedYAMLError as error:
            self._refuse_slip(slip_of(error, text, self._names))
        except yaml.YAMLError as error:
            where = str(error).splitlines()[0]
            raise ConfigError(f"{self.path} is not YAML: {where}", UTF_8) from None

    def _walk(self, node: yaml.MappingNode, text: str, prefix: str = "") -> Iterator[Entry]:
        """Every key below the node, including sections, in file order."""
        for key_node, value in node.value:
            key = prefix + self._name(key_node)
            line = key_node.start_mark.line + 1
            yield Entry(key, _value(value), _written(value), line)
            if key not in self.sections or _is_null(value):
                self._refuse_templates(value)
                continue
            if not isinstance(value, yaml.MappingNode):
                self._refuse_glued(text, value)
                self._refuse(
                    key_node, f"{key} is a section; put its keys below it, indented", EXAMPLE
                )
            yield from self._walk(value, text, f"{key}.")

    def _refuse_templates(self, value: yaml.Node) -> None:
        """Refuses `{{ name }}`, which YAML reads as a mapping whose key is a mapping."""
        if isinstance(value, yaml.MappingNode):
            for key_node, _ in value.value:
                self._name(key_node)

    def _name(self, node: yaml.Node) -> str:
        if isinstance(node, yaml.MappingNode):
            self._refuse(node, *TEMPLATE)
        if not isinstance(node, yaml.ScalarNode):
            self._refuse(node, "there is a list where a key is expected", EXAMPLE)
        name = str(node.value)
        if (slip := glued_line(name, 1, self._names)) is not None:
            self._refuse(node, slip.sentence, slip.hint)
        if _is_plain(node) and name == "<<":
            hint = "write the keys instead"
            self._refuse(node, "<< merges another section, which fintts does not read", hint)
        if _is_plain(node) and not isinstance(scalar(name), str):
            hint = f"fintts refuses unknown keys; if you mean this one, write {name!r} in quotes"
            self._refuse(node, f"{short(name)} is not a valid key in YAML", hint)
        return name

    def _refuse_feature(self, event: yaml.Event, depth: int, documents: int) -> None:
        """Raises ConfigError for YAML features that fintts does not accept."""
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            self._refuse(
                event,
                "there is an anchor (&) or an alias (*), which fintts does not read",
                "write the value itself, or put the text in quotes",
            )
        if getattr(event, "tag", None) is not None:
            self._refuse(
                event,
                "there is a tag (!), which fintts does not read",  # it may be a secret
                "remove it, or put text that begins with ! in quotes",
            )
        if depth > YAML_DEPTH:
            self._refuse(event, f"is nested more than {YAML_DEPTH} deep", EXAMPLE)
        if documents > 1:
            self._refuse(event, "a second document starts here", "remove the line `---`")

    def _refuse_glued(self, text: str, value: yaml.Node) -> None:
        slip = glued_line(text, value.end_mark.line + 1, self._names)
        if slip is not None:
            self._refuse_slip(slip)

    @cached_property
    def _names(self) -> set[str]:
        return {*self.keys, *self.sections, *(key.rpartition(".")[2] for key in self.keys)}

    def _refuse(self, at: yaml.Node | yaml.Event, sentence: str, hint: str) -> NoReturn:
        line = at.start_mark.line + 1 if at.start_mark else 1
        self._refuse_slip(Slip(line, sentence, hint))

    def _refuse_slip(self, slip: Slip) -> NoReturn:
        raise ConfigError(f"{self.path.name}:{slip.line}: {slip.sentence}", slip.hint) from None


class _CheckedLoader(yaml.SafeLoader):
    """Checks each event of the text before a node is made of it."""

    def __init__(self, text: str, check: Callable[[yaml.Event, int, int], None]) -> None:
        """`check` takes an event, how deep it is nested, and the documents that have begun."""
        super().__init__(text)
        self._check, self._depth, self._documents = check, 0, 0

    def get_event(self) -> yaml.Event:
        """The next event."""
        following: Any = super()  # its stub names no types
        event: yaml.Event = following.get_event()
        self._depth += isinstance(event, yaml.CollectionStartEvent)
        self._depth -= isinstance(event, yaml.CollectionEndEvent)
        self._documents += isinstance(event, yaml.DocumentStartEvent)
        self._check(event, self._depth, self._documents)
        return event


def _value(node: yaml.Node) -> object:
    """The Python value; a quoted scalar is a text."""
    if isinstance(node, yaml.SequenceNode):
        return [_value(part) for part in node.value]
    if isinstance(node, yaml.MappingNode):
        return {_written(key): _value(part) for key, part in node.value}
    text = str(node.value)
    return scalar(text) if _is_plain(node) else text


def _is_plain(node: yaml.Node) -> bool:
    """Whether the node is an unquoted word."""
    return isinstance(node, yaml.ScalarNode) and node.style is None


def _written(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and _value(node) is None


def _what(node: yaml.Node) -> str:
    return "a list" if isinstance(node, yaml.SequenceNode) else f"the text {short(_written(node))}"
