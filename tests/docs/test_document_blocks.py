"""The command blocks of the documents, run as they are written, from an empty folder on."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from cli_project import FINTTS, Shell
from documents import TOP, document, documents, without_comment
from hub_server import hub
from screen import at_a_terminal
from tiny_run import TINY, write_speech

MODEL = "fishaudio/openaudio-s1-mini"
ANSWERS = {"cloud launch": ("Launch it?", b"y\n"), "cloud tensorboard": ("to quit)", b"\x03")}
"""what a user types once a command shows a text"""
README = document("README.md")
_FROM_THE_REPOSITORY, OWN_RUN = README.shell_blocks
NOT_FOR_A_TEST = {
    "pip install '.[sky,trainer]'": "tests do not install",
    "export FINTTS_STORE=s3://BUCKET/PREFIX": "needs a bucket",
}
NOT_RUN = {
    ("README.md", "make demo"): "the demo has a test below, and this is what `make test` runs",
    ("docs/data-and-models.md", "fintts data encode"): "needs a codec; a test of its own runs it",
    ("docs/data-and-models.md", "fintts speak"): "needs a codec; a test of its own runs it",
    ("docs/data-and-models.md", "fintts cloud listen"): "needs a codec; a test of its own runs it",
    ("docs/renting.md", "fintts cloud reap"): "asks the clouds",
    ("docs/spot.md", "printf"): "changes the user's SkyPilot",
    ("docs/development.md", "make check"): "runs the tests",
    ("docs/development.md", ".venv/bin/pytest"): "runs the tests",
    ("benchmarks/README.md", ".venv/bin/python"): "measures for minutes",
}
"""(document, beginning of a block): why no test runs it"""


def own_run() -> list[str]:
    """The `fintts …` lines of README's list, without their comments."""
    lines = [without_comment(line) for line in OWN_RUN.splitlines()]
    assert {line for line in lines if not line.startswith("fintts ")} == set(NOT_FOR_A_TEST)
    return [line for line in lines if line.startswith("fintts ")]


def other_blocks() -> dict[tuple[str, str], str]:
    """Every block but README's list, by its document and its beginning."""
    return {
        (source.name, block.splitlines()[0]): block
        for source in documents()
        for block in source.shell_blocks
        if block != OWN_RUN
    }


def reason(name: str, first: str) -> str | None:
    """Why a block is not run; None where it is."""
    here = {start: why for (where, start), why in NOT_RUN.items() if where == name}
    return next((why for start, why in here.items() if first.startswith(start)), None)


def test_the_list_is_the_way_from_a_folder_of_speech_to_an_adapter() -> None:
    verbs = [" ".join(shlex.split(line)[1:3]) for line in own_run()]
    assert verbs[0] == "init --data"
    assert {"cloud launch", "cloud pull-checkpoints", "cloud report"} <= set(verbs)


def test_every_reason_belongs_to_a_block() -> None:
    left_out = [key for key in other_blocks() if reason(*key)]
    assert len(left_out) == len(NOT_RUN)
    assert len(other_blocks()) > len(left_out)


@pytest.mark.end_to_end
@pytest.mark.timeout(900)
def test_every_command_works_as_it_is_written(tmp_path: Path) -> None:
    """First README's list, then the blocks of the other documents, which start where it ends. The
    model comes from a hub on loopback. Variables set where the run goes, how long it is and how
    fast this machine trains: a test rents no GPU."""
    folder = tmp_path / "empty"
    folder.mkdir()
    write_speech(folder / "speech")
    shutil.copytree(TINY, tmp_path / "model", ignore=shutil.ignore_patterns("expected*"))
    with hub(tmp_path / "model", model=MODEL) as serving:
        shell = Shell(
            folder,
            PATH=f"{Path(FINTTS).parent}{os.pathsep}{os.environ['PATH']}",
            HF_ENDPOINT=serving.url,
            HF_HOME=str(tmp_path / "hf"),
            HF_HUB_DISABLE_TELEMETRY="1",
            FINTTS_INFRA="local",
            FINTTS_TRAINING__MAX_STEPS="6",
            FINTTS_VALIDATION__EVERY="3",
            FINTTS_FORECAST__SECONDS_PER_STEP="0.2",
        )
        for line in own_run():
            _type(shell, line)
        for key, block in other_blocks().items():
            if reason(*key) is None:
                _run(shell, block)


def _type(shell: Shell, line: str) -> None:
    """At a terminal, with an answer to the command."""
    words = shlex.split(line)
    after, answer = ANSWERS.get(" ".join(words[1:3]), ("never shown", b""))
    code, shown = at_a_terminal(
        [FINTTS, *words[1:]],
        answer,
        after=after,
        cwd=shell.project,
        environment=shell.environment,
    )
    assert code == 0, f"{line}\n{shown}"


def _run(shell: Shell, block: str) -> None:
    done = subprocess.run(
        ["bash", "-e", "-c", block],
        cwd=shell.project,
        env=shell.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_the_first_estimate_needs_no_more_than_the_models_description(tmp_path: Path) -> None:
    """Before a launch the weights are not here; `estimate` is offline and gives a bill."""
    folder = tmp_path / "empty"
    folder.mkdir()
    write_speech(folder / "speech")
    shutil.copytree(TINY, tmp_path / "model", ignore=shutil.ignore_patterns("expected*"))
    init, estimate = own_run()[0], next(line for line in own_run() if "estimate" in line)
    with hub(tmp_path / "model", model=MODEL) as serving:
        own = {"HF_ENDPOINT": serving.url, "HF_HOME": str(tmp_path / "hf")}
        shell = Shell(folder, HF_HUB_DISABLE_TELEMETRY="1", **own)
        done = shell(*shlex.split(init)[1:])
        assert done.returncode == 0, done.stderr
        assert serving.fetched == ["config.json"]
    bill = shell(*shlex.split(estimate)[1:])
    assert bill.returncode == 0, bill.stderr
    assert "$" in bill.stdout


def masked(text: str) -> str:
    """Without its numbers and durations, which differ from run to run, without colours, and in one
    line, since longer numbers break lines elsewhere."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    numbers = re.sub(r"<?\$?\d[\d.,]*", "#", plain)
    durations = re.sub(r"[+-]?# (?:h|min|s)\b(?:\s# (?:min|s)\b)*", "TIME", numbers)
    return " ".join(durations.split())


@pytest.mark.end_to_end
@pytest.mark.timeout(900)
def test_the_demo_says_what_the_readme_shows(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FINTTS_")}
    demo = TOP / "examples" / "kalevala" / "demo.sh"
    done = subprocess.run(
        [str(demo), str(tmp_path / "demo-run")],
        env=kept | {"OMP_NUM_THREADS": "1", "XDG_CONFIG_HOME": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    for voice in ("base", "best", "original"):
        for suffix in ("wav", "png"):
            assert (tmp_path / "demo-run" / f"verse-{voice}.{suffix}").stat().st_size > 1000
    said, at = masked(without_paths(done.stdout)), 0
    shown = README.text.partition("```\n$ fintts estimate\n")[2].partition("```")[0]
    passages = [masked(passage) for passage in re.split(r"^…$|^(?=\$ )", shown, flags=re.MULTILINE)]
    assert len(passages) > 8
    for passage in passages:
        at = said.find(passage, at)
        assert at >= 0, f"not shown, or not there: {passage}\n\n{said}"
        at += len(passage)


def without_paths(text: str) -> str:
    """Without the folders of sounds, and without other paths at the ends of lines; both differ from
    machine to machine."""
    sounds = re.sub(r" /\S+/(\S+\.wav)", r" \1", text)
    return re.sub(r" /\S+$", "", sounds, flags=re.MULTILINE)
