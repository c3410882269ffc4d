"""`fintts cloud listen`: speaks the same sentences with every checkpoint of a run."""

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.checkpoints.pull import find_checkpoints
from fintts_cli.commands.named_run import pick_run
from fintts_cli.commands.opening import open_workplace, read_sources, with_base_model
from fintts_cli.commands.options import (
    Codec,
    Config,
    Json,
    MaxSeconds,
    Quiet,
    Run,
    S3EndpointUrl,
    Seed,
    SpokenModel,
    Store,
)
from fintts_cli.commands.targets import refuse_in_store, refuse_unwritable
from fintts_cli.errors import ConfigError, UsageProblem
from fintts_cli.local_trainer import require_trainer
from fintts_cli.speech.models import base_folder, codec_of
from fintts_cli.speech.samples import (
    SamplesRecord,
    begin,
    given_sentences,
    held_out_sentences,
    rows_of,
    seconds_of,
)
from fintts_cli.speech.speaker import speak as speak_with_trainer
from fintts_cli.speech.voices import fetched, prompt_of_run
from fintts_cli.terminal import Terminal
from fintts_cli.views.html.listening_page import ListeningPage
from fintts_cli.views.html.pages import listening_page
from fintts_cli.views.units import counted
from fintts_inputs.config import ValidationConfig
from fintts_inputs.folder import nfc
from fintts_inputs.speech.plan import SpeechPlan
from fintts_store.disk.durable import write_file
from fintts_store.runs.runs import read_run

if TYPE_CHECKING:
    from fintts_cli.settings.model import Settings
    from fintts_cli.speech.samples import Row, Sentence
    from fintts_inputs.speech.plan import Frames, Spoken

PAGE = "index.html"


def listen(
    run: Run = None,
    *,
    text: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="A sentence to say; repeat it for several."),
    ] = None,
    held_out: Annotated[
        int,
        typer.Option(metavar="N", min=1, max=20, help="Without --text: sentences not trained on."),
    ] = 3,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Target folder; by default ./samples/RUN."),
    ] = None,
    seed: Seed = 0,
    max_seconds: MaxSeconds = 15.0,
    codec: Codec = None,
    base_model: SpokenModel = None,
    store: Store = None,
    s3_endpoint_url: S3EndpointUrl = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Hear a run step by step.

    This machine speaks the same sentences with the base model and every kept checkpoint, beside
    the recordings, and writes one page with players. A second call speaks only what is new, so you
    can listen while a run trains.
    """
    require_trainer()
    terminal = Terminal(json=json, quiet=quiet)
    options = {"base_model": base_model, "store": store, "s3_endpoint_url": s3_endpoint_url}
    settings = with_base_model(
        terminal, read_sources(terminal, options, config), may_download=False
    ).settings
    runs = open_workplace().store_of(settings, run)
    name = pick_run(runs, run)
    target = to or Path("samples") / name
    refuse_in_store(target, runs.url, "--to")
    refuse_unwritable(target, "--to")
    base = base_folder(settings)
    codec_path = codec_of(codec, base, base)
    asked = read_run(runs, name)
    fraction = ValidationConfig.model_validate(asked.config.get("validation", {})).fraction
    sentences = _sentences(settings, text, held_out, fraction)
    checkpoints, _ = find_checkpoints(runs, name, terminal, None)
    prompt = prompt_of_run(asked, base)
    texts = tuple(one.text for one in sentences)
    record = SamplesRecord(run=name, texts=texts, seed=seed, max_seconds=max_seconds)
    begin(target, record)
    rows = rows_of(sentences, checkpoints, target)
    with TemporaryDirectory(prefix="fintts-") as scratch:
        voices = [
            voice
            for row in rows
            for voice in row.missing(
                sentences,
                lambda one: fetched(runs, f"step {one.step}", one, Path(scratch), prompt),
            )
        ]
        plan = SpeechPlan(
            base=base,
            codec=codec_path,
            voices=voices,
            max_seconds=max_seconds,
            seed=seed,
        )
        _speak(terminal, plan)
    page = listening_page(ListeningPage.of(record, rows), datetime.now(UTC))
    write_file(target / PAGE, page.encode())
    _show(terminal, record, rows, target / PAGE)


def _sentences(
    settings: "Settings", texts: list[str] | None, held_out: int, fraction: float
) -> "list[Sentence]":
    if texts:
        cleaned = [nfc(one).strip() for one in texts]
        if not all(cleaned):
            raise UsageProblem("--text is empty", "give a sentence in quotes")
        return given_sentences(cleaned, settings.data)
    if settings.data is None:
        raise ConfigError(
            "no data folder is set, so no sentences are held out",
            "set data, or give sentences with --text",
        )
    return held_out_sentences(settings.data, fraction, held_out)


def _speak(terminal: Terminal, plan: SpeechPlan) -> None:
    """Shows the progress in files, since each takes about the same time."""
    if not plan.voices:
        return
    done: list[Spoken] = []
    with terminal.progress("speaking") as show:

        def on_frames(_frames: "Frames") -> None:
            show(len(done), len(plan.voices))

        try:
            speak_with_trainer(plan, on_frames, done.append)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"interrupted after {len(done)} of {counted(len(plan.voices), 'file')}, which are "
                "kept; the same command continues from there"
            ) from None


def _show(terminal: Terminal, record: SamplesRecord, rows: "list[Row]", page: Path) -> None:
    if not terminal.json:
        terminal.say(f"{counted(len(rows), 'row')} of {counted(len(record.texts), 'sentence')}")
        terminal.data(str(page))
        return
    samples = [
        {
            "voice": row.name,
            "step": None if row.checkpoint is None else row.checkpoint.step,
            "best": row.is_best,
            "text": text,
            "path": str(file),
            "seconds": seconds_of(file),
        }
        for row in rows
        for text, file in zip(record.texts, row.files, strict=True)
        if file is not None
    ]
    terminal.document(
        {"run": record.run, "page": str(page), "seed": record.seed, "samples": samples}
    )
