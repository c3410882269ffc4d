"""The results of `fintts doctor`, as text and as a document.

The document:

    ok        whether a launch would start
    checks    [{name, verdict, sentence, hint}], in the order of the checks; `verdict` is one of
              ok, warning, failed, not probed

With --config instead: {KEY: {value, origin}} for every setting; the origin is `option`, the name of
a variable, `FILE:LINE` or `default`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from fintts_cli.settings.read import known_keys
from fintts_cli.views.checks.outcomes import outcome_documents
from fintts_cli.views.units import table
from fintts_cost.money import NOTHING
from fintts_store.probes.probes import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fintts_cli.settings.read import ReadSettings
    from fintts_store.probes.probes import Outcome

DEFAULT = "default"


def examination_document(outcomes: Sequence[Outcome]) -> dict[str, object]:
    """The document that the module describes."""
    return {
        "ok": all(outcome.finding.verdict != Verdict.FAILED for outcome in outcomes),
        "checks": outcome_documents(outcomes),
    }


def settings_document(found: ReadSettings) -> dict[str, dict[str, object]]:
    """Every setting with its value and its origin."""
    content: dict[str, object] = found.settings.model_dump(mode="json")
    return {
        key: {"value": _at(content, key), "origin": found.origins.get(key, DEFAULT)}
        for key in known_keys()
    }


def render_settings(found: ReadSettings) -> str:
    """One line per setting."""
    rows = [
        (key, NOTHING if given["value"] is None else str(given["value"]), str(given["origin"]))
        for key, given in settings_document(found).items()
    ]
    return table(("SETTING", "VALUE", "FROM"), rows, left=3)


def _at(content: object, key: str) -> object:
    for name in key.split("."):
        content = cast("dict[str, object]", content)[name]
    return content
