"""`fintts cloud listen`: the same sentences by every checkpoint of a run, on one page."""

from dataclasses import dataclass
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
from fintts_cli.errors import CheckFailed, ConfigError, UsageProblem
from fintts_cli.runs.status.checks import section_of
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
from fintts_cli.speech.stored import fetch_samples, stored_record
from fintts_cli.speech.voices import fetched, prompt_of_run
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.trainer_process.local_trainer import require_trainer
from fintts_cli.views.html.listening_page import ListeningPage
from fintts_cli.views.html.pages import listening_page
from fintts_cli.views.units import counted
from fintts_inputs.config import SamplesConfig, ValidationConfig
from fintts_inputs.folder import nfc
from fintts_inputs.speech.plan import SpeechPlan
from fintts_store.disk.durable import write_file
from fintts_store.runs.runs import read_run, readable_result
from fintts_store.runs.samples import read_samples

if TYPE_CHECKING:
    from fintts_cli.settings.model import Settings
    from fintts_cli.speech.samples import Row, Sentence
    from fintts_inputs.speech.plan import Frames, Spoken
    from fintts_store.store import Store as RunStore

PAGE = "index.html"
GIVEN = frozenset({"COMMANDLINE", "ENVIRONMENT"})
SPOKEN_HERE = ("text", "held_out", "seed", "max_seconds", "codec")
"""options of which each asks this machine to speak"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What this machine shall speak."""

    texts: list[str] | None
    held_out: int
    seed: int
    max_seconds: float
    codec: Path | None


def listen(
    context: typer.Context,
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

    Writes one page with players: the same sentences by the base model and by checkpoints, beside
    the recordings. A run with `samples` has spoken them; otherwise, and with options that say what
    to speak, this machine speaks with every kept checkpoint. A second call adds only what is new,
    so you can listen while a run trains.
    """
    terminal = Terminal(json=json, quiet=quiet)
    options = {"base_model": base_model, "store": store, "s3_endpoint_url": s3_endpoint_url}
    found = with_base_model(
        terminal, read_sources(terminal, options, config), may_download=False
    ).settings
    runs = open_workplace().store_of(found, run)
    name = pick_run(runs, run)
    target = to or Path("samples") / name
    refuse_in_store(target, runs.url, "--to")
    refuse_unwritable(target, "--to")
    sources = [context.get_parameter_source(each) for each in SPOKEN_HERE]
    speaks_here = any(one is not None and one.name in GIVEN for one in sources)
    spoken = None if speaks_here else read_samples(runs, name)
    if spoken is not None and spoken.files:
        record = stored_record(spoken)
        begin(target, record)
        rows = fetch_samples(runs, spoken, target, terminal.warn)
    else:
        if not speaks_here:
            _refuse_too_early(runs, name)
        asked = Asked(text, held_out, seed, max_seconds, codec)
        record, rows = _spoken_here(terminal, runs, name, found, target, asked)
    page = listening_page(ListeningPage.of(record, rows), datetime.now(UTC))
    write_file(target / PAGE, page.encode())
    _show(terminal, record, rows, target / PAGE)


def _refuse_too_early(runs: "RunStore", name: str) -> None:
    """A run that is about to speak gets no folder of other sentences, which would stand in the way
    of its own."""
    config = section_of(read_run(runs, name), "samples", SamplesConfig)
    if config.is_on and readable_result(runs, name) is None:
        raise CheckFailed(
            f"run {name} has not spoken yet",
            "try again when it trains; --held-out N lets this machine speak, for which --to names "
            "another folder",
        )


def _spoken_here(
    terminal: Terminal,
    runs: "RunStore",
    name: str,
    settings: "Settings",
    target: Path,
    asked: Asked,
) -> "tuple[SamplesRecord, list[Row]]":
    """This machine speaks what is missing in the folder."""
    require_trainer()
    base = base_folder(settings)
    codec_path = codec_of(asked.codec, base, base)
    recorded = read_run(runs, name)
    fraction = section_of(recorded, "validation", ValidationConfig).fraction
    sentences = _sentences(settings, asked.texts, asked.held_out, fraction)
    checkpoints, _ = find_checkpoints(runs, name, terminal, None)
    prompt = prompt_of_run(recorded, base)
    texts = tuple(one.text for one in sentences)
    record = SamplesRecord(run=name, texts=texts, seed=asked.seed, max_seconds=asked.max_seconds)
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
            max_seconds=asked.max_seconds,
            seed=asked.seed,
        )
        _speak(terminal, plan)
    return record, rows


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
            "step": row.step,
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
