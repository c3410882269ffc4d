"""`fintts speak`: speaks a text with a checkpoint, an exported folder or the base model."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.checkpoints.pull import Choice
from fintts_cli.commands.named_run import pick_run
from fintts_cli.commands.opening import open_workplace, read_sources, with_base_model
from fintts_cli.commands.options import (
    Codec,
    Config,
    Json,
    MaxSeconds,
    Quiet,
    S3EndpointUrl,
    Seed,
    SpokenModel,
    Store,
)
from fintts_cli.commands.targets import refuse_in_store, refuse_unwritable
from fintts_cli.errors import UsageProblem
from fintts_cli.sound_packages import require_readers
from fintts_cli.speech.models import base_folder, codec_of
from fintts_cli.speech.speaker import speak as speak_with_trainer
from fintts_cli.speech.voices import (
    BASE_ALONE,
    Source,
    Wanted,
    is_folder,
    is_merged,
    of_adapter,
    of_run,
    original_of,
    with_files,
)
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.trainer_process.local_trainer import require_trainer
from fintts_cli.views.mel_picture import mel_picture
from fintts_cli.views.speech import SpeechView, render_spoken, warnings_of
from fintts_inputs.folder import nfc
from fintts_inputs.speech.plan import ReferenceRecording, SpeechPlan
from fintts_inputs.speech.sampling import SamplingOptions
from fintts_store.disk.durable import create_file

if TYPE_CHECKING:
    from fintts_cli.settings.read import ReadSettings
    from fintts_inputs.speech.plan import Frames, Spoken

TEXTS = (".lab", ".txt")
WAV, PNG = ".wav", ".png"


def speak(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say.")],
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|DIR",
            help="A run, or an exported folder; by default the newest run.",
            show_default=False,
        ),
    ] = None,
    *,
    base: Annotated[bool, typer.Option("--base", help="Speak with the base model alone.")] = False,
    best: Annotated[
        bool, typer.Option("--best", help="The best checkpoint; this is the default.")
    ] = False,
    last: Annotated[bool, typer.Option("--last", help="The newest checkpoint.")] = False,
    step: Annotated[
        int | None, typer.Option(metavar="N", help="The checkpoint of this step.")
    ] = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Base model, best, last, and the recording if the data have the text."
        ),
    ] = False,
    reference: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recording of the voice to imitate.")
    ] = None,
    reference_text: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Its text; by default the .lab or .txt beside it."),
    ] = None,
    seed: Seed = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.wav", help="By default RUN-STEP-seed-N.wav."),
    ] = None,
    picture: Annotated[
        bool, typer.Option("--picture", help="Draw the mel spectrogram of each file beside it.")
    ] = False,
    max_seconds: MaxSeconds = 30.0,
    temperature: Annotated[
        float | None,
        typer.Option(
            metavar="X", min=0, max=5, help="0 takes the likeliest; default: the model's."
        ),
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(metavar="X", min=0.01, max=1, help="Share of the likeliest choices to keep."),
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(metavar="X", min=1, max=5, help="1 is none.")
    ] = None,
    as_fish: Annotated[
        bool, typer.Option("--as-fish", help="Penalise repetition as Fish Speech's own tools do.")
    ] = False,
    codec: Codec = None,
    base_model: SpokenModel = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Speak a text, so that you hear a run's result.

    Runs on this machine, on its GPU if there is one. On a CPU a second of speech takes many
    seconds. The same seed gives the same speech.
    """
    choice = Choice(best=best, last=last, step=step)
    _refuse_both(choice, base=base, compare=compare)
    spoken_text = _text(text, "TEXT")
    require_trainer()
    sampling = SamplingOptions(
        temperature=temperature, top_p=top_p, repetition_penalty=repetition_penalty
    )
    recording = _reference(reference, reference_text)
    _refuse_output(output)
    terminal = Terminal(json=json, quiet=quiet)
    options = {"base_model": base_model, "store": store, "s3_endpoint_url": s3_endpoint_url}
    found = with_base_model(terminal, read_sources(terminal, options, config), may_download=False)
    with TemporaryDirectory(prefix="fintts-") as scratch:
        wanted = Wanted(choice, compare)
        speakers = _speakers(terminal, found, run, wanted, Path(scratch), output, base=base)
        sources = speakers.sources
        if compare and (original := original_of(spoken_text, found.settings.data)):
            sources.append(original)
        suffixes = (WAV, PNG) if picture else (WAV,)
        files = with_files(sources, output, seed, suffixes)
        plan = SpeechPlan(
            base=speakers.model,
            codec=codec_of(codec, speakers.model, found.settings.base_model),
            reference=recording,
            voices=[one.voice(spoken_text, to) for one, to in zip(sources, files, strict=True)],
            max_seconds=max_seconds,
            seed=seed,
            sampling=sampling,
            as_fish=as_fish,
        )
        spoken = _speak(terminal, plan, sources)
        pictures = [_draw(one.path) if picture else None for one in spoken]
        view = SpeechView(speakers.run, spoken_text, seed, sources, spoken, pictures)
    if json:
        terminal.document(view.to_json())
    else:
        for path in view.files:
            terminal.data(str(path))


def _refuse_both(choice: Choice, *, base: bool, compare: bool) -> None:
    if base + compare + choice.best + choice.last + (choice.step is not None) > 1:
        raise UsageProblem(
            "--base, --best, --last, --step and --compare exclude each other",
            "give only one of them",
        )


def _text(text: str, name: str) -> str:
    found = nfc(text).strip()
    if not found:
        raise UsageProblem(f"{name} is empty", "give it in quotes: fintts speak 'Hyvää huomenta'")
    return found


def _reference(path: Path | None, text: str | None) -> ReferenceRecording | None:
    if path is None:
        if text is not None:
            raise UsageProblem(
                "--reference-text needs --reference", "name the recording that says it"
            )
        return None
    require_readers("trainer,audio")
    if not path.is_file():
        raise UsageProblem(f"there is no file {path}", "name a recording with --reference")
    if text is None:
        text = _text_beside(path)
    return ReferenceRecording(path=path.absolute(), text=_text(text, "the reference's text"))


def _text_beside(path: Path) -> str:
    for suffix in TEXTS:
        try:
            return path.with_suffix(suffix).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
    raise UsageProblem(
        f"there is no text of {path}",
        "give what it says with --reference-text, or in a .lab or .txt beside it",
    )


def _refuse_output(output: Path | None) -> None:
    if output is None:
        return
    if output.suffix.lower() != WAV:
        raise UsageProblem(f"{output} does not end in {WAV}", "speech is written as WAV")
    refuse_unwritable(output.parent, "--output")


@dataclass(frozen=True)
class Speakers:
    """The base model's folder, what speaks on it, and the run, if there is one."""

    model: Path
    sources: list[Source]
    run: str | None = None


def _speakers(
    terminal: Terminal,
    found: "ReadSettings",
    run: str | None,
    wanted: Wanted,
    scratch: Path,
    output: Path | None,
    *,
    base: bool,
) -> Speakers:
    if base:
        return Speakers(base_folder(found.settings), [BASE_ALONE])
    if run is not None and is_folder(run):
        if wanted.choice.is_all:
            return _of_folder(terminal, found, Path(run), compare=wanted.compare)
        raise UsageProblem(f"{run} is one folder", "leave --best, --last and --step out")
    store = open_workplace().store_of(found.settings, run)
    name = pick_run(store, run)
    model = base_folder(found.settings)
    refuse_in_store(Path.cwd() if output is None else output, store.url, "--output")
    return Speakers(model, of_run(store, name, wanted, model, scratch, terminal), name)


def _of_folder(
    terminal: Terminal, found: "ReadSettings", folder: Path, *, compare: bool
) -> Speakers:
    if is_merged(folder):
        name = folder.resolve().name
        return Speakers(folder, [Source(name, name)])
    model = base_folder(found.settings)
    one = of_adapter(folder, model, terminal)
    return Speakers(model, [BASE_ALONE, one] if compare else [one])


def _speak(terminal: Terminal, plan: SpeechPlan, sources: "list[Source]") -> "list[Spoken]":
    by_name = {one.name: one for one in sources}
    with terminal.progress("speaking") as show:

        def on_frames(frames: "Frames") -> None:
            show(frames.done, frames.most)

        def on_spoken(one: "Spoken") -> None:
            terminal.say(render_spoken(by_name[one.voice], one))
            for sentence, hint in warnings_of(one):
                terminal.warn(sentence, hint)

        return speak_with_trainer(plan, on_frames, on_spoken)


def _draw(sound: Path) -> Path:
    """Draws the mel spectrogram of a file that the trainer has just written."""
    picture, content = sound.with_suffix(PNG), mel_picture(sound.read_bytes())
    assert content is not None
    create_file(picture, content)
    return picture
