"""The class of all commands, which checks every typed value before a parser reads it.

Python's int accepts `1_0` and `１０`, its float `nan`, and an empty path means the current folder,
which `--to "$UNSET"` never means.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, cast, get_type_hints

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cli.settings.kinds import Misread

USAGE_ERROR: type[typer.BadParameter] = typer.BadParameter.__mro__[1]
"""the base of all usage errors; Typer has a public name only for this one"""


class StrictCommand(TyperCommand):
    """A command whose options and arguments are never empty, and whose numbers are numbers."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # click's Context is private to Typer
        """Checks every typed text, then lets Typer parse it.

        Raises:
            USAGE_ERROR: a value is empty, or not a number where one is required.
        """
        typed, _, _ = self.make_parser(ctx).parse_args(args=list(args))
        hints = get_type_hints(inspect.unwrap(self.callback)) if self.callback else {}
        for param in self.params:
            name = param.name or ""
            hint = hints.get(name, str)
            misreads = (_misread(text, hint) for text in _texts(typed.get(name)))
            if (misread := next(filter(None, misreads), None)) is not None:
                is_option = param.param_type_name == "option"
                spelt = max(param.opts, key=len) if is_option else param.metavar or name.upper()
                raise USAGE_ERROR(f"{spelt} {misread.sentence}; {misread.hint}", ctx)
        return super().parse_args(ctx, args)


def _texts(typed: object) -> list[str]:
    """The texts that were typed for one parameter, which may take several."""
    is_several = isinstance(typed, list | tuple)
    several = cast("Sequence[object]", typed) if is_several else [typed]
    return [each for each in several if isinstance(each, str)]


def _misread(text: str, annotation: object) -> Misread | None:
    from fintts_cli.settings.typed import misread_text  # a command without texts needs none of it

    return misread_text(text, annotation)
