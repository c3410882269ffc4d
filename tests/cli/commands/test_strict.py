"""No option or argument of any command takes an empty text, or for a number what is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import typer

from checks import every
from command_line import invoke
from fintts_cli.app import build
from fintts_cli.commands.strict import USAGE_ERROR, StrictCommand
from fintts_cli.settings.kinds import plain_types

SUBJECT = r"^(--|[A-Z]).* (is|has) "
"""of every sentence: which option or argument it is about"""
NO_NUMBERS = ("", "1_0", "１０", "yes", "nan", "1e999", "0x", "1:30", "9" * 5000)


def commands() -> Iterator[tuple[list[str], Any]]:
    """Every command below `fintts`, with the words that name it."""
    waiting: list[tuple[list[str], Any]] = [([], typer.main.get_command(build()))]
    while waiting:
        words, command = waiting.pop()
        below = getattr(command, "commands", None)
        if below is None:
            yield words, command
        else:
            waiting += [([*words, name], each) for name, each in below.items()]


def typed_parameters(of_types: tuple[type, ...] = ()) -> Iterator[tuple[Any, list[str]]]:
    """Each parameter that takes a text (of these types): its command, and what is typed before."""
    for _, command in commands():
        hints = get_type_hints(command.callback)
        names = [param.name for param in command.params]
        for param in command.params:
            types = set(plain_types(hints.get(param.name, bool)))
            if bool in types or (of_types and not types & set(of_types)):
                continue
            # An argument comes after those that the command has before it.
            before = ["run"] * names.index(param.name)
            yield command, [param.opts[0]] if param.opts[0].startswith("-") else before


def refused(arguments: list[str]) -> str:
    result = invoke(arguments)
    assert result.exit_code == 2, (arguments, result.output, result.exception)
    assert result.stdout == ""
    return result.stderr


def test_every_command_is_strict() -> None:
    found = list(commands())
    assert len(found) > 20
    assert every(isinstance(command, StrictCommand) for _, command in found)


@pytest.mark.parametrize("text", ["", " ", "\t", "a\x1b[31mb", "\udce4", "{{ name }}", "${X}"])
def test_no_parameter_takes_an_empty_or_unreadable_text(text: str) -> None:
    """All parameters of all commands: a new one cannot be forgotten."""
    count = 0
    for command, before in typed_parameters():
        with pytest.raises(USAGE_ERROR, match=SUBJECT):
            command.make_context("fintts", [*before, text])
        count += 1
    assert count > 120


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_no_number_is_taken_from_what_is_none(text: str) -> None:
    count = 0
    for command, before in typed_parameters((int, float)):
        with pytest.raises(USAGE_ERROR, match=SUBJECT):
            command.make_context("fintts", [*before, text])
        count += 1
    assert count > 30


@pytest.mark.parametrize("text", ["1_0", "１", "1e999999999999", "nan", "-1", "0x10", "9" * 5000])
def test_no_dollars_are_taken_from_what_is_none(own_folder: Path, text: str) -> None:
    said = refused(["estimate", "--reference-run", "--budget", text])
    assert "not an amount in dollars" in said


def test_a_whole_number_has_no_fraction(own_folder: Path) -> None:
    said = refused(["estimate", "--max-steps", "2.5"])
    assert "error: --max-steps is `2.5`, which has a fraction" in said


def test_an_empty_argument_is_not_the_current_folder(own_folder: Path) -> None:
    (own_folder / "a.npy").write_bytes(b"")
    said = refused(["data", "check", ""])
    assert "error: DIR is empty; set a value, or leave it out" in said
