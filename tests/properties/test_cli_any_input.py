"""Whatever a user types, sets or writes into a file: fintts answers with a sentence."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import typer
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import hostile_stores
from fintts_cli import app
from fintts_cli.settings.read import known_keys
from fintts_cli.settings.sources import variable_name
from fintts_store.backends.directory import DirectoryStore
from fuzzing import examples
from tiny_run import TINY, write_speech

EXAMPLES = {"typed": 400, "set": 400, "written": 800, "all": 400}
"""what is odd → how many examples; each is a test, so that they share the processes"""
EXIT_CODES = {0, 1, 2, 3, 4, 5, 130}
SECRET = "wJalrXUtnFEMI-planted-K7MDENG"
SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "HF_TOKEN")

COMMANDS = {
    "estimate": 3,
    "estimate --samples 90 --seconds-per-step 1": 10,
    "estimate --reference-run": 4,
    "doctor --config": 12,
    "data check": 6,
    "data pack": 2,
    "init --no-input --force --config made.yaml": 2,
    "cloud launch --dry-run": 4,
    "cloud offers": 2,
    "cloud ps": 3,
    "cloud watch": 2,
    "cloud logs": 2,
    "cloud stop": 2,
    "cloud down": 2,
    "cloud pull-checkpoints": 2,
    "cloud pin": 2,
    "cloud unpin": 2,
    "cloud prune --dry-run": 2,
    "cloud report": 2,
    "export --format peft": 2,
    "store check": 1,
    "train": 3,
    "cloud reap": 2,
}
"""with what keeps them from renting → how often. The price list is not here: it is a part of the
program, and nobody sets another."""

LAST = {
    "init": ["--config", "made.yaml"],
    "train": ["--name", hostile_stores.GOOD, "--store", "store"],
}
"""What ends a line, since the last one counts: no file of another name is written, and a run that
has ended does not train."""
NEVER = ("--follow", "--measure", "--yes", "-y", "--read-data")
"""options that wait, remove or take long"""
TRAINS_ON = "--force"

NEEDED = {"cloud pin": ["good", "1400"], "cloud unpin": ["good", "1400"]}
"""arguments that they do not work without"""
WEIGHTED = [words for words, count in COMMANDS.items() for _ in range(count)]

# No path leads out of the test's folder, and no address to a server.
ODD_TEXTS = (
    "", "0", "-1", "1", "2", "2.5", "1e3", "1e999", "-0", "nan", ".nan", ".inf", "1_0", "010",
    "0x10", "1:30", "yes", "no", "true", "null", "~", "9" * 400, "1e-400", "１２", "5%",
    "$5", "1,5",
    "good", "bad", "latest", "a" * 5000, "speech", "store", "base", "adapter", "fintts.yaml",
    "speech/u000.lab", "made", "~nobody", "s3://", "s3:/b", "s3://B_d", "gs://b", "s3://b c",
    "s3://b?endpoint_url=http://[::1", "http://", "http://[::1", "http://u:p@h", "hf://", "hf://a",
    "local", "aws", "aws/", "*", "any", "A100", "A100-80GB:2", "H100,A100", ",", "A100:x",
    "{{ name }}", "${X}", "$HOME", "a\x1b[31mb", "a\nb", "a\tb", "\udce4", "ä", "a\u0308", "\u202e",
    "[]", "[a", "{}", "{a: 1}", "[attention]", "'x", '"\\0"', "&a", "*a", "!!int 5", "!x", "@", "%",
    "- a", "? b", ">", "|", "2026-01-02", "<<", "val/top5_accuracy", "max", "arn:aws:iam::1:role/x",
)  # fmt: skip
RANDOM = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=12)
TEXTS = st.sampled_from(ODD_TEXTS) | RANDOM.map(lambda text: text.replace("..", "").lstrip("~"))

OTHER_VARIABLES = {
    "FINTTS_CONFIG": TEXTS,
    "FINTTS_STATE_DIR": st.sampled_from(["", " ", "state2", "speech/u000.lab", "~nobody/x"]),
    "FINTTS_HANG_FACTOR": TEXTS,
    "FINTTS_PROCESSES": TEXTS,
    "FINTTS_NONSENSE": TEXTS,
    "COLUMNS": st.sampled_from(["", "0", "-5", "1", "9" * 30, "x"]),
    "XDG_CONFIG_HOME": st.sampled_from(["", "relative", "speech/u000.lab"]),
    "SKY_RUNTIME_DIR": st.sampled_from(["", "nowhere", "speech/u000.lab"]),
    "AWS_PROFILE": TEXTS,
    "AWS_REGION": TEXTS,
    "AWS_ENDPOINT_URL": TEXTS,
    "REQUESTS_CA_BUNDLE": TEXTS,
    "HTTPS_PROXY": TEXTS,
    "TZ": TEXTS,
}
VARIABLES = {variable_name(key): TEXTS for key in known_keys()} | OTHER_VARIABLES

FILES = (
    "fintts.yaml", "fintts.yaml", "fintts.yaml", "config/fintts/config.yaml", "base/config.json",
    "base/special_tokens.json", "base/tokenizer.tiktoken", "base/README.md", "speech/u000.npy",
    "speech/u001.lab", "adapter/adapter_config.json", "adapter/adapter_model.safetensors",
    "state/journal/good.json",
)  # fmt: skip

SETTINGS = """\
data: speech
base_model: base
infra: local
store: store
lora: {rank: 2}
training: {max_steps: 40, batch_size: 2, warmup_steps: 2}
validation: {every: 5, fraction: 0.3}
checkpoints: {every: 5}
forecast: {seconds_per_step: 0.2}
"""


@dataclass(frozen=True)
class Said:
    code: object
    text: str


def fintts(arguments: list[str], environment: dict[str, str]) -> Said:
    """The command line as it is typed, in this process."""
    out = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["fintts", *arguments]),
        mock.patch.dict(os.environ, environment),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
        hostile_stores.within(60),
    ):
        try:
            app._run()  # main may end this process: it does not wait for a store's answer
        except SystemExit as end:
            return Said(end.code or 0, out.getvalue())
    return Said(0, out.getvalue())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with all that a user may have: data, a model, an adapter, a store with two runs."""
    folder = tmp_path_factory.mktemp("any") / "project"
    folder.mkdir()
    write_speech(folder / "speech", utterances=9)
    ignored = shutil.ignore_patterns("expected*")
    shutil.copytree(TINY, folder / "base", ignore=ignored)
    store, saved = DirectoryStore(folder / "store"), folder / "saved"
    saved.mkdir()
    hostile_stores.healthy(store, saved, hostile_stores.GOOD)
    hostile_stores.healthy(store, saved, hostile_stores.BAD)
    (folder / "fintts.yaml").write_text(SETTINGS)
    # Making the tree of commands takes longer than most commands.
    tree = typer.main.get_command(app.build())
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        for name in [name for name in os.environ if name.startswith("FINTTS_")]:
            patch.delenv(name)
        patch.setattr(app, "build", lambda: tree)
        for words in COMMANDS:  # their imports draw random numbers, which no strategy may
            options_of(words)
        patch.setenv("FINTTS_STATE_DIR", str(folder / "state"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.setenv("SKY_RUNTIME_DIR", str(folder / "sky"))
        # Nobody listens there: no server is started, which takes minutes.
        patch.setenv("SKYPILOT_API_SERVER_ENDPOINT", "http://127.0.0.1:1")
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        for name in SECRETS:
            patch.setenv(name, SECRET)
        yield folder


def options_of(words: str) -> list[tuple[str, bool]]:
    """Every option of a command, and whether a text follows it."""
    command: Any = app.build()
    for word in words.split():
        if word.startswith("-") or not hasattr(command, "commands"):
            break
        command = command.commands[word]
    return [
        (option, not param.is_flag)
        for param in command.params
        if param.opts[0].startswith("-")
        for option in [*param.opts, *param.secondary_opts]
        if option not in NEVER and not (words == "train" and option == TRAINS_ON)
    ]


@st.composite
def command_lines(draw: st.DrawFn, most: int) -> list[str]:
    """A command with some of its options, each with any text, and arguments."""
    words = draw(st.sampled_from(WEIGHTED))
    line = [*words.split(), *NEEDED.get(words, [])]
    options = options_of(words)
    for option, has_text in draw(st.lists(st.sampled_from(options), max_size=most)):
        line += [option, draw(TEXTS)] if has_text else [option]
    if most and not draw(st.integers(0, 3)):
        line += [draw(TEXTS).lstrip("-")]
    return line + LAST.get(line[0], [])


@st.composite
def yaml_texts(draw: st.DrawFn) -> bytes:
    """Settings with any text behind a key, or no settings at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=60))
    lines = SETTINGS.splitlines() if draw(st.booleans()) else []
    keys = st.sampled_from([*known_keys(), "training", "lora", "nonsense", "<<", "Training.Seed"])
    for key in draw(st.lists(keys, min_size=1, max_size=4)):
        section, _, name = key.rpartition(".")
        value = draw(TEXTS).encode("utf-8", "replace").decode()
        gap = draw(st.sampled_from([" ", " ", " ", " ", "", "\t", "  # "]))
        written = f"{name}:{gap}{value}"
        is_nested = section and draw(st.booleans())
        lines.append(f"{section}:\n  {written}" if is_nested else f"{key}:{gap}{value}")
    text = draw(st.sampled_from(["\n", "\r\n"])).join(lines)
    encoding = draw(st.sampled_from(["utf-8"] * 6 + ["utf-8-sig", "utf-16", "latin-1"]))
    return text.encode(encoding, "replace")


WILD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["", "LORA", "../x", "1e999", 0, -1, 1, 2**31, 1e308]),
    st.just([]),
    st.just({}),
)


@st.composite
def any_contents(draw: st.DrawFn, was: bytes) -> bytes:
    """Random bytes, the file cut short or with a byte changed, or as JSON with a wild value."""
    kind = draw(st.sampled_from(["bytes", "cut", "flip", "json", "json", "json"]))
    try:
        content = json.loads(was)
    except ValueError:
        content = None
    if kind == "json" and isinstance(content, dict) and content:
        for _ in range(draw(st.integers(1, 3))):
            content[draw(st.sampled_from(sorted(content)))] = draw(WILD)
        return json.dumps(content).encode()
    if kind == "cut" and was:
        return was[: draw(st.integers(0, len(was) - 1))]
    if kind == "flip" and was:
        at = draw(st.integers(0, len(was) - 1))
        return was[:at] + draw(st.binary(min_size=1, max_size=4)) + was[at + 1 :]
    return draw(st.binary(max_size=80))


@contextlib.contextmanager
def changed(path: Path, content: bytes | None) -> Iterator[None]:
    """The file with this content, and then again as it was."""
    was = path.read_bytes() if path.is_file() else None
    if content is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        if was is not None:
            path.write_bytes(was)


def refuse(said: Said) -> None:
    """Raises AssertionError for what no user may ever see."""
    assert said.code in EXIT_CODES, said
    assert "please report it" not in said.text, said
    assert "Traceback" not in said.text, said
    assert SECRET not in said.text, said
    assert not hostile_stores.CONTROL.search(said.text), said


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("odd", EXAMPLES)
def test_whatever_is_typed_set_or_written_gets_a_sentence(project: Path, odd: str) -> None:
    """One thing is odd, so that each example comes as far as it can; or everything. Without a seed
    of their own all would draw the same command lines on CI, where Hypothesis derives the examples
    from the test's source."""

    @seed(sorted(EXAMPLES).index(odd))
    @settings(max_examples=examples(EXAMPLES[odd]), suppress_health_check=[HealthCheck.too_slow])
    @given(data=st.data())
    def gets_a_sentence(data: st.DataObject) -> None:
        answer_one(project, data, odd)

    gets_a_sentence()


def answer_one(project: Path, data: st.DataObject, odd: str) -> None:
    """Raises AssertionError if a command line, a variable or a file gets no sentence."""
    line = data.draw(command_lines(2 if odd in ("typed", "all") else 0))
    count = 2 if odd in ("set", "all") else 0
    names = data.draw(st.lists(st.sampled_from(sorted(VARIABLES)), max_size=count))
    variables = {name: data.draw(VARIABLES[name]) for name in names}
    path, content = project / data.draw(st.sampled_from(FILES)), None
    if odd in ("written", "all"):
        was = path.read_bytes() if path.is_file() else b""
        content = data.draw(yaml_texts() if path.suffix == ".yaml" else any_contents(was))
    with changed(path, content):
        refuse(fintts(line, variables))
    assert not list(project.glob("state*/train")), "a trainer was started"
