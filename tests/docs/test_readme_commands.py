"""README's own list of commands, as it is written there, from an empty folder to its end."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from cli_project import FINTTS, Shell
from hub_server import hub
from screen import at_a_terminal
from tiny_run import TINY, write_speech

README = Path(__file__).parents[2] / "README.md"
MODEL = "fishaudio/openaudio-s1-mini"
QUESTIONS = {"cloud launch": ("Launch it?", b"y\n")}


def commands() -> list[str]:
    """Every `fintts …` line of the block below "Your own run", without its comment."""
    block = README.read_text().partition("## Your own run")[2].partition("```sh\n")[2]
    lines = block.partition("```")[0].splitlines()
    return [re.sub(r"\s+#.*", "", line) for line in lines if line.startswith("fintts ")]


def test_the_list_is_the_way_from_a_folder_of_speech_to_an_adapter() -> None:
    verbs = [" ".join(shlex.split(line)[1:3]) for line in commands()]
    assert verbs[0] == "init --data"
    assert {"cloud launch", "cloud pull-checkpoints", "cloud report"} <= set(verbs)


@pytest.mark.end_to_end
@pytest.mark.timeout(600)
def test_every_command_of_the_list_works_as_it_is_written(tmp_path: Path) -> None:
    """The model comes from a hub on loopback. Where the run goes, how long it is and how fast this
    machine trains is set as the environment sets it: nobody rents a GPU for a test."""
    folder = tmp_path / "empty"
    folder.mkdir()
    write_speech(folder / "speech")
    shutil.copytree(TINY, tmp_path / "model", ignore=shutil.ignore_patterns("expected*"))
    with hub(tmp_path / "model", model=MODEL) as serving:
        shell = Shell(
            folder,
            HF_ENDPOINT=serving.url,
            HF_HOME=str(tmp_path / "hf"),
            HF_HUB_DISABLE_TELEMETRY="1",
            FINTTS_INFRA="local",
            FINTTS_TRAINING__MAX_STEPS="6",
            FINTTS_VALIDATION__EVERY="3",
            FINTTS_FORECAST__SECONDS_PER_STEP="0.2",
        )
        for line in commands():
            words = shlex.split(line)
            after, answer = QUESTIONS.get(" ".join(words[1:3]), ("never shown", b""))
            code, shown = at_a_terminal(
                [FINTTS, *words[1:]],
                answer,
                after=after,
                cwd=folder,
                environment=shell.environment,
            )
            assert code == 0, f"{line}\n{shown}"


def test_the_first_estimate_needs_no_more_than_the_models_description(tmp_path: Path) -> None:
    """Before a launch the weights are not here; `estimate` is offline and gives a bill."""
    folder = tmp_path / "empty"
    folder.mkdir()
    write_speech(folder / "speech")
    shutil.copytree(TINY, tmp_path / "model", ignore=shutil.ignore_patterns("expected*"))
    init, estimate = commands()[0], next(line for line in commands() if "estimate" in line)
    with hub(tmp_path / "model", model=MODEL) as serving:
        own = {"HF_ENDPOINT": serving.url, "HF_HOME": str(tmp_path / "hf")}
        shell = Shell(folder, HF_HUB_DISABLE_TELEMETRY="1", **own)
        done = shell(*shlex.split(init)[1:])
        assert done.returncode == 0, done.stderr
        assert serving.fetched == ["config.json"]
    bill = shell(*shlex.split(estimate)[1:])
    assert bill.returncode == 0, bill.stderr
    assert "$" in bill.stdout
