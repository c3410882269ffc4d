"""fintts.yaml as YAML 1.2 has it, strictly; each way in which it is not has its own sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from fintts_cli.errors import ConfigError
from fintts_cli.settings.read import read_settings
from fintts_cli.settings.scalars import scalar


def settings_of(folder: Path, content: str | bytes) -> dict[str, object]:
    """What a file sets, beside the defaults."""
    data = content.encode() if isinstance(content, str) else content
    (folder / "fintts.yaml").write_bytes(data)
    found = read_settings({}, environment={}, folder=folder)
    return found.settings.model_dump(exclude_defaults=True)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-3", -3),
        ("+7", 7),
        ("1e-4", 0.0001),
        (".5", 0.5),
        ("3.", 3.0),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("yes", "yes"),
        ("off", "off"),
        ("y", "y"),
        ("2026-01-02", "2026-01-02"),
        ("=", "="),
        ("nan", "nan"),
        ("inf", "inf"),
        ("１０", "１０"),
        ("9" * 101, "9" * 101),
    ],
)
def test_a_word_means_what_yaml_1_2_says(text: str, value: object) -> None:
    read = scalar(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("training: {max_steps: 010}\n", {"training": {"max_steps": 10}}),
        ("training: {max_steps: 1e3}\n", {"training": {"max_steps": 1000}}),
        ("training: {max_steps: '5'}\n", {"training": {"max_steps": 5}}),
        ("training.max_steps: 7\n", {"training": {"max_steps": 7}}),
        ("infra: no\n", {"infra": "no"}),
        ("\ufeffspot: true\n", {"spot": True}),
        (
            "spot: true\r\ntraining:\r\n  max_steps: 5\r\n",
            {"spot": True, "training": {"max_steps": 5}},
        ),
        ("---\nspot: true\n", {"spot": True}),
        ("budget_usd: ~\n", {}),
    ],
)
def test_what_is_well_written_is_read(
    own_folder: Path, content: str, expected: dict[str, object]
) -> None:
    assert settings_of(own_folder, content) == expected


UNFILLED = "there is an unexpanded template"
WRONG: list[tuple[str | bytes, str, str]] = [
    # What YAML 1.1 takes for something else.
    ("training: {learning_rate: yes}\n", "learning_rate takes a number, but is `yes`", "number"),
    ("training:\n  warmup_steps: 1:30\n", "is `1:30`, a text (fintts.yaml:2)", "colons"),
    ("training: {max_steps: 1_000}\n", "is `1_000`, a text", "16384"),
    (
        'training: {max_steps: ""}\n',
        "training.max_steps takes a whole number, but is empty",
        "a value",
    ),
    (
        "training: {compile: ' '}\n",
        "training.compile takes true, false or auto, but is empty",
        "a value",
    ),
    ("lora: {targets: ''}\n", "lora.targets takes a list, but is empty", "a value"),
    ("lora: {targets: 'attention,mlp'}\n", "is `attention,mlp`, a text", "[attention, mlp]"),
    ("lora: {targets: attention mlp}\n", "is `attention mlp`, a text", "[attention, mlp]"),
    ("training: {max_steps: 2026-01-02}\n", "is `2026-01-02`, a text", "date"),
    ("training: {compile: yes}\n", "takes true, false or auto, but is `yes`, a text", "write true"),
    ("spot: 1\n", "spot takes true or false, but is `1`, a number", "write true"),
    # Numbers that are none of the kind.
    ("training: {batch_size: true}\n", "but is `true`, a truth value", ""),
    ("training: {max_steps: 2.5}\n", "is `2.5`, which has a fraction", "whole"),
    ("training: {learning_rate: .nan}\n", "is `.nan`, which is not finite", "finite"),
    ("training: {learning_rate: 1e999}\n", "is `1e999`, which is not finite", ""),
    ("hourly_rate_usd: .inf\n", "is `.inf`, which is not finite", ""),
    ("budget_usd: $5\n", "budget_usd takes a number, but is `$5`, a text", "dollars"),
    ("budget_usd: 1,50\n", "is `1,50`, a text", "point"),
    ("validation: {fraction: 5%}\n", "is `5%`, a text", "0.05"),
    ("training: {max_steps: " + "9" * 5000 + "}\n", "a number of 5,000 digits", "at most 100"),
    ("training: {max_steps: }\n", "takes a whole number, but has no value", "remove the line"),
    ("budget_usd:\n", "takes a number, but has no value (fintts.yaml:1)", "remove the line"),
    ("spot: true\nname:   # later\n", "name takes a text, but has no value (fintts.yaml:2)", ""),
    ("data: x\nstore:\n", "has no value (fintts.yaml:2)", ""),
    ("training: {max_steps: [5]}\n", "but is a list", ""),
    ("training: {max_steps: {a: 5}}\n", "but is a section", ""),
    # Texts and lists.
    ("data: 5\n", "data takes a path, but is `5`, a number (fintts.yaml:1)", '"5"'),
    ("initial_adapter: true\n", "takes a path, but is `true`, a truth value", '"true"'),
    ("name: 2024\n", "name takes a text, but is `2024`, a number", '"2024"'),
    (
        "samples: {texts: [2026]}\n",
        "texts takes a list, but has the item `2026`, a number",
        '"2026"',
    ),
    ("samples: {texts: [true]}\n", "has the item `true`, a truth value", '"true"'),
    ("trackers: [1]\n", "has the item `1`, a number", '"1"'),
    ("samples: {texts: [[a]]}\n", "has an item that is a list", "each item as a text"),
    ("samples: {texts: [{a: b}]}\n", "has an item that is a section", "each item as a text"),
    (
        "samples: {texts: [null]}\n",
        "texts takes a list, but has an empty item",
        "set a value",
    ),
    ("lora:\n  targets: attention\n", "targets takes a list, but is `attention`", "[attention]"),
    ("lora: {targets: []}\n", "is an empty list", ""),
    ("gpus: [5]\n", "gpus takes a text or a list, but has the item `5`, a number", '"5"'),
    ("data: ''\n", "data takes a path, but is empty (fintts.yaml:1)", "leave it out"),
    ("store: ' '\n", "store takes a text, but is empty", ""),
    ("gpus: ['']\n", "has an empty item", ""),
    ('data: "a\\0b"\n', "a control character or a line break", "one line"),
    ("data: |\n  a\n  b\n", "a control character or a line break", "one line"),
    ('data: "a\\ud800"\n', "not UTF-8", ""),
    # Templates.
    ("data: {{ name }}\n", f"fintts.yaml:1: {UNFILLED} (`{{{{ }}}}`)", "write the value"),
    ("data: '{{ name }}'\n", "is `{{ name }}`, an unexpanded template", "write the value"),
    ("store: ${STORE}\n", "is `${STORE}`, an unexpanded template", ""),
    ("data: $HOME/speech\n", "is `$HOME/speech`, an unexpanded template", ""),
    # Keys.
    ("gpus: a\ngpus: b\n", "fintts.yaml:2 sets gpus again, after line 1", "one of the two"),
    (
        "training: {max_steps: 6}\ntraining.max_steps: 5\n",
        "fintts.yaml:2 sets training.max_steps again, after line 1",
        "",
    ),
    ("training.max_steps: 5\ntraining: {max_steps: 6}\n", "again, after line 1", ""),
    ("training:\ntraining: {max_steps: 6}\n", "fintts.yaml:2 sets training again", ""),
    ("training: 5\n", "fintts.yaml:1: training is a section", ""),
    ("training: [max_steps: 5]\n", "fintts.yaml:1: training is a section", ""),
    ("lora:\n- rank\n", "fintts.yaml:1: lora is a section", ""),
    ("null: 1\n", "fintts.yaml:1: `null` is not a valid key in YAML", "quotes"),
    ("<<: {data: x}\n", "fintts.yaml:1: << merges another section", "keys"),
    ("training:\n  <<: {max_steps: 5}\n", "fintts.yaml:2: << merges another section", "keys"),
    ("? [a, b]\n: c\n", "there is a list where a key is expected", ""),
    # No space after a colon.
    ("max_steps:5\n", "fintts.yaml:1: `max_steps:5` has no space", "`max_steps: 5`"),
    ("training:\n  max_steps:5\n", "fintts.yaml:2: `max_steps:5` has no space", ""),
    ("training:\n  max_steps:5\n  seed: 4\n", "fintts.yaml:2: `max_steps:5` has no", ""),
    ("spot:true\ndata: x\n", "fintts.yaml:1: `spot:true` has no space", "`spot: true`"),
    # What is more YAML than fintts reads.
    (
        "a: &x 1\n",
        "fintts.yaml:1: there is an anchor (&) or an alias (*)",
        "write the value itself",
    ),
    ("training:\n  <<: *a\n", "fintts.yaml:2: there is an anchor (&) or an alias (*)", ""),
    (
        "data: !!python/object/apply:os.system [x]\n",
        "fintts.yaml:1: there is a tag (!)",
        "remove it",
    ),
    ("training: {max_steps: !!int '5'}\n", "fintts.yaml:1: there is a tag (!)", ""),
    ("spot: true\n---\nspot: false\n", "fintts.yaml:2: a second document starts", "---"),
    ("data: " + "[" * 5000 + "\n", "nested more than 32 deep", ""),
    # No YAML.
    ("- a\n- b\n", "there is a list instead of `key: value` lines", "fintts init"),
    ("hello\n", "there is the text `hello` instead", "fintts init"),
    ("training:\n\tmax_steps: 5\n", "fintts.yaml:2: is not YAML: there is a tab", "two spaces"),
    ("data: [a\n", "fintts.yaml:2: is not YAML: a bracket is never closed", ""),
    ('data: "abc\n', "fintts.yaml:2: is not YAML: a quote", "close it"),
    ("training: {max_steps:5}\n", "fintts.yaml:1: `max_steps:5` has no space", "`max_steps: 5`"),
    ("lora: {rank:2, alpha: 4}\n", "`rank:2` has no space after the colon", "`rank: 2`"),
    (
        "training:\n  max_steps = 5\n",
        "fintts.yaml:2: `max_steps = 5` has an equals",
        "`max_steps: 5`",
    ),
    ("training.max_steps=5\n", "has an equals sign", "`training.max_steps: 5`"),
    ("data: {{ dir }}/speech\n", f"fintts.yaml:1: {UNFILLED}", "write the value"),
    ("spot: true\nname: {{ a }}-{{ b }}\n", f"fintts.yaml:2: {UNFILLED}", "write the value"),
    ("name: {% if a %}b{% endif %}\n", f"fintts.yaml:1: {UNFILLED}", "write the value"),
    ("data: a: b\n", "fintts.yaml:1: is not YAML: the line has a second colon", "quotes"),
    ("data: x\nnope\n", "is not YAML: a line has no colon", ""),
    ("data: @x\n", "fintts.yaml:1: is not YAML: a value starts with a character", "quotes"),
    # No text.
    (b"data: a\0b\n", "is not YAML: unacceptable character", "UTF-8"),
    ("x\ndata: käsi\n".encode("latin-1"), "byte 0xe4 in line 2 is not UTF-8", "UTF-8"),
    ("spot: true\n".encode("utf-16"), "is text in UTF-16", "UTF-8"),
    (b"x" * 10_000_000, "has 10,000,000 bytes", "--config"),
]


@pytest.mark.parametrize(("content", "sentence", "hint"), WRONG, ids=range(len(WRONG)))
def test_each_slip_has_its_own_sentence(
    own_folder: Path, content: str | bytes, sentence: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of(own_folder, content)
    assert sentence in caught.value.message
    assert hint in caught.value.hint
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 500
    assert caught.value.exit_code == 2
