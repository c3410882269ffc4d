"""The licence of a base model: by its card, its licence file, what is known of it, or unknown."""

from __future__ import annotations

import pytest

from fintts_inputs.base_model.families import parse_shape, read_shape
from fintts_inputs.base_model.licence import licence_of
from released_shapes import S1_MINI
from tiny_run import TINY

TINY_SHAPE = read_shape(TINY)
HEAD = "---\ntags:\n- tts\nlicense: {}\n---\n# A model\n"


@pytest.mark.parametrize(
    ("documents", "identifier", "title"),
    [
        ({"README.md": HEAD.format("mit")}, "mit", "mit"),
        ({"README.md": HEAD.format('"mit"'), "LICENSE": "Apache"}, "mit", "mit"),
        ({"README.md": HEAD.format("mit").replace("\n", "\r\n")}, "mit", "mit"),
        (
            {"README.md": HEAD.format("other\nlicense_name: research\nlicense_link: LICENSE.md")},
            "other",
            "research",
        ),
        (
            {"README.md": "license: mit\n", "LICENSE": "\n# My licence #\nmore"},
            "other",
            "My licence",
        ),
        ({"README.md": HEAD.format("unknown")}, "unknown", "unknown"),
        ({"LICENSE": " \n"}, "unknown", "unknown"),
        ({}, "unknown", "unknown"),
    ],
)
def test_what_the_folder_says_counts(
    documents: dict[str, str], identifier: str, title: str
) -> None:
    licence = licence_of(documents, TINY_SHAPE)
    assert (licence.identifier, licence.title) == (identifier, title)
    assert ("Check it" in licence.sentence) == (identifier == "unknown")


def test_the_released_shapes_are_known_where_it_says_nothing() -> None:
    licence = licence_of({}, parse_shape(S1_MINI))
    assert licence.identifier == "cc-by-nc-sa-4.0"
    assert "CC-BY-NC-SA-4.0 (as its release of this shape is)" in licence.sentence
    said = licence_of({"README.md": HEAD.format("mit")}, parse_shape(S1_MINI))
    assert said.identifier == "mit"
