"""`fintts speak`, as a user types it."""

from __future__ import annotations

import wave
from pathlib import Path

import psutil
import pytest
from safetensors.torch import load_file, save_file
from typer.testing import Result

from cli_project import Shell
from command_line import invoke
from fintts_cli.checkpoints.pull import Choice
from fintts_cli.errors import UsageProblem
from fintts_cli.speech.speaker import speak as speak_with_trainer
from fintts_cli.speech.voices import (
    BASE_ALONE,
    Source,
    Wanted,
    of_adapter,
    of_run,
    original_of,
    with_files,
)
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.views.mel_picture import mel_picture
from fintts_cli.views.speech import render_spoken, warnings_of
from fintts_inputs.base_model.adapter import ADAPTER_FILE, BASE_DIGEST
from fintts_inputs.codec.find import S1_FILE
from fintts_inputs.speech.plan import Frames, SpeechPlan, Spoken, Voice
from fintts_store.backends.directory import DirectoryStore
from fintts_trainer.families import open_base
from fintts_trainer.families.fish import FishBase
from parity_fixtures import HERE
from speaking_project import TEXT, write_speaking_project
from tiny_export import write_random_adapter
from tiny_run import TINY

OTHER = HERE / "codec_s1_tiny"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project and its store."""
    folder = tmp_path_factory.mktemp("speak")
    write_speaking_project(folder)
    return folder


@pytest.fixture
def project(made: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The project's folder, which is the working directory; only to be read."""
    monkeypatch.chdir(made / "project")
    monkeypatch.setenv("FINTTS_STATE_DIR", str(tmp_path / "state"))
    return made / "project"


def speak(*arguments: str) -> Result:
    return invoke(["speak", *arguments])


def test_everything_there_is_to_compare_is_spoken(made: Path, tmp_path: Path) -> None:
    shell = Shell(made / "project")
    options = ("--compare", "--picture", "--max-seconds", "0.3", "-o", str(tmp_path / "hei.wav"))
    found = shell.document("speak", f"{TEXT} 3", "mine", *options)
    assert (found["run"], found["text"], found["seed"]) == ("mine", f"{TEXT} 3", 0)
    steps = {one["voice"]: one["step"] for one in found["spoken"]}
    assert steps == {"base": None, "best": 100, "last": 200, "original": None}
    for one in found["spoken"]:
        assert one["path"] == str(tmp_path / f"hei-{one['voice']}.wav")
        assert one["picture"] == str(tmp_path / f"hei-{one['voice']}.png")
        assert Path(one["picture"]).read_bytes() == mel_picture(Path(one["path"]).read_bytes())
        with wave.open(one["path"]) as file:
            assert file.getnframes() == one["frames"] * 2048
            assert file.getnframes() / file.getframerate() == pytest.approx(
                one["seconds"], abs=1e-3
            )
    assert found["spoken"][3]["frames"] == 5


def test_ctrl_c_ends_the_speaker_too(made: Path, tmp_path: Path) -> None:
    heard: list[Frames] = []

    def press(frames: Frames) -> None:
        heard.append(frames)
        raise KeyboardInterrupt

    base, to = made / "project" / "base", tmp_path / "long.wav"
    plan = SpeechPlan(
        base=base,
        codec=base,
        voices=[Voice(name="base", text=TEXT, to=to)],
        max_seconds=10,
        seed=0,
    )
    before = psutil.Process().children()
    with pytest.raises(KeyboardInterrupt):
        speak_with_trainer(plan, press, lambda _one: None)
    assert [(one.voice, one.done) for one in heard] == [("base", 1)]
    assert not to.exists()
    assert set(psutil.Process().children()) <= set(before)


def test_what_is_impossible_is_said_before_anything_is_loaded(project: Path) -> None:
    cases = {
        ("",): (2, "TEXT is empty"),
        (" \n",): (2, "TEXT is empty"),
        (TEXT, "--base", "--best"): (2, "exclude each other"),
        (TEXT, "--last", "--step", "3"): (2, "exclude each other"),
        (TEXT, "mine", "--step", "150"): (2, "there is no checkpoint of step 150"),
        (TEXT, "nine"): (2, "there is no run nine"),
        (TEXT, "./nowhere"): (2, "holds no adapter and no model"),
        (TEXT, "--base", "-o", "a.mp3"): (2, "does not end in .wav"),
        (TEXT, "--base", "-o", "base/input.wav"): (2, "exists already"),
        (TEXT, "--base", "--codec", str(OTHER)): (1, "10 codebooks, the base model 4"),
        (TEXT, "--base", "--reference-text", "a"): (2, "needs --reference"),
        (TEXT, "--base", "--reference", "no.wav"): (2, "there is no file no.wav"),
        (TEXT, "--base", "--reference", "base/input.wav"): (2, "there is no text of"),
        (TEXT, "mine", "--base-model", str(HERE / "fish_v15_tiny")): (2, "is not the base model"),
        (TEXT, "mine", "-o", "../store/a.wav"): (2, "is inside the store"),
        (TEXT, "--base", "--temperature", "nan"): (2, ""),
    }
    for arguments, (code, said) in cases.items():
        refused = speak(*arguments)
        assert refused.exit_code == code, (arguments, refused.stderr)
        assert said in refused.stderr.replace("\n", " "), arguments
        assert "Traceback" not in refused.stderr
    assert not list(project.glob("*.wav"))


def test_a_missing_codec_is_named_with_the_way_to_get_it(project: Path) -> None:
    refused = speak(TEXT, "--base", "--base-model", str(TINY))
    assert refused.exit_code == 1
    assert f"has no {S1_FILE}" in refused.stderr
    assert "hf download" in refused.stderr


def test_the_best_is_spoken_unless_another_is_named(made: Path, tmp_path: Path) -> None:
    store, base = DirectoryStore(made / "store"), made / "project" / "base"

    def steps(choice: Choice) -> list[tuple[str, int | None]]:
        scratch = tmp_path / str(choice)
        found = of_run(store, "mine", Wanted(choice, False), base, scratch, Terminal())
        assert {one.prompt for one in found} == {"fish-joined"}
        return [(one.name, one.step) for one in found]

    assert steps(Choice()) == [("best", 100)]
    assert steps(Choice(last=True)) == [("last", 200)]
    assert steps(Choice(step=200)) == [("step 200", 200)]


def test_an_adapter_of_another_base_model_is_warned_about(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = open_base(TINY)
    assert isinstance(base, FishBase)
    folder = write_random_adapter(base, tmp_path / "mine-100-peft")
    found = of_adapter(folder, made / "project" / "base", Terminal())
    assert (found.name, found.adapter, found.prompt) == ("mine-100-peft", folder, None)
    assert capsys.readouterr().err == ""
    weights = load_file(folder / ADAPTER_FILE)
    save_file(weights, folder / ADAPTER_FILE, metadata={BASE_DIGEST: "0" * 64})
    of_adapter(folder, made / "project" / "base", Terminal())
    assert "was not trained on the files in" in capsys.readouterr().err


def test_the_recording_of_a_text_is_found_among_the_data(made: Path) -> None:
    data = made / "project" / "speech"
    found = original_of(f"{TEXT} 3", data)
    assert found is not None
    assert found.recording == data / "3.npy"
    assert original_of("Hyvää yötä", data) is None
    assert original_of(TEXT, None) is None
    assert original_of(TEXT, made / "nowhere") is None


def test_what_is_odd_about_speech_is_said() -> None:
    fine = Spoken(
        voice="best",
        path=Path("a.wav"),
        seconds=1.0,
        frames=19,
        ended=True,
        disallowed=2,
        generating_seconds=2.0,
    )
    assert warnings_of(fine) == []
    odd = fine.model_copy(update={"ended": False, "disallowed": 3})
    said = " ".join(sentence for sentence, _ in warnings_of(odd))
    assert "did not end by itself: a.wav was cut after 1.0 s" in said
    assert "other than speech at 3 of 19 choices" in said
    assert render_spoken(Source("best", "mine-100", 100), fine) == (
        "best, step 100: a.wav (1.0 s), 9.5 frames a second"
    )


def test_no_file_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    one = [Source("best", "mine-100")]
    assert with_files(one, None, 0) == [Path("mine-100-seed-0.wav")]
    Path("mine-100-seed-0.wav").touch()
    assert with_files(one, None, 0) == [Path("mine-100-seed-0-2.wav")]
    several = [BASE_ALONE, *one]
    assert with_files(several, Path("hei.wav"), 0) == [Path("hei-base.wav"), Path("hei-best.wav")]
    Path("hei-best.wav").symlink_to("nowhere")
    with pytest.raises(UsageProblem, match=r"hei-best\.wav exists already"):
        with_files(several, Path("hei.wav"), 0)
    Path("mel.png").touch()
    assert with_files(one, Path("mel.wav"), 0) == [Path("mel.wav")]
    with pytest.raises(UsageProblem, match=r"mel\.png exists already"):
        with_files(one, Path("mel.wav"), 0, (".wav", ".png"))
    Path("mine-100-seed-0-2.png").touch()
    assert with_files(one, None, 0, (".wav", ".png")) == [Path("mine-100-seed-0-3.wav")]
    assert with_files(one, Path("new.wav"), 0) == [Path("new.wav")]
