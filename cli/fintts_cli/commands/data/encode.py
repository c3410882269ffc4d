"""`fintts data encode`: turns recordings and their texts into pairs for training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fintts_cli.commands.opening import read_sources, with_base_model
from fintts_cli.commands.options import BaseModel, Codec, Config, Json, Quiet
from fintts_cli.commands.targets import refuse_unwritable
from fintts_cli.encoding import encode as encode_with_trainer
from fintts_cli.encoding import require_encoder
from fintts_cli.errors import CheckFailed, ConfigError, UsageProblem
from fintts_cli.settings.hub_model import HubModel
from fintts_cli.terminal import Terminal
from fintts_cli.views.recordings import RecordingsView, render_recordings
from fintts_cli.views.units import counted
from fintts_inputs.base_model.families import read_config
from fintts_inputs.codec.find import CodecFile, find_codec
from fintts_inputs.codec.shape import refuse_other_codec
from fintts_inputs.recordings.files import Recordings, list_recordings
from fintts_inputs.recordings.plan import EncodePlan
from fintts_inputs.recordings.survey import Survey, limits_of, survey

if TYPE_CHECKING:
    from fintts_inputs.base_model.shape import ModelShape

CODES_SUFFIX = "-codes"


def encode(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Folder of recordings.")],
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Target folder; by default SOURCE-codes."),
    ] = None,
    codec: Codec = None,
    base_model: BaseModel = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Turn recordings into training data.

    Reads WAV, FLAC, MP3 and OGG with their texts: .txt or .lab beside them, LJSpeech's
    metadata.csv, JSON lines or a Hugging Face audiofolder. Lists every problem with its file. A
    second call encodes only what is new.
    """
    require_encoder()
    terminal = Terminal(json=json, quiet=quiet)
    target = to or source.with_name(source.resolve().name + CODES_SUFFIX)
    _refuse_target(source, target)
    recordings = list_recordings(source)
    found = read_sources(terminal, {"base_model": base_model}, config)
    base = with_base_model(terminal, found, may_download=False).settings.base_model
    file, model = _open_codec(codec, base)
    surveyed = _survey(terminal, recordings, file, model)
    view = RecordingsView(surveyed, file.shape)
    if surveyed.utterances:
        view = _encode(terminal, surveyed, file, target)
    if json:
        terminal.document(view.to_json())
    else:
        terminal.data(render_recordings(view))
    _refuse_problems(source, view)


def _refuse_problems(source: Path, view: RecordingsView) -> None:
    if view.encoded is None:
        raise CheckFailed(f"{source} has nothing to encode", "fix the problems listed above")
    if view.problems:
        raise CheckFailed(
            f"the recordings have {counted(len(view.problems), 'problem')}; the others are encoded",
            "fix the files listed above, and run the same command again",
        )


def _refuse_target(source: Path, target: Path) -> None:
    refuse_unwritable(target, "--to")
    if target.resolve().is_relative_to(source.resolve()):
        raise UsageProblem(
            f"{target} is inside the folder of the recordings",
            "choose a folder outside it with --to, so that no text is overwritten",
        )


def _open_codec(
    codec: Path | None, base: "Path | HubModel | None"
) -> "tuple[CodecFile, ModelShape | None]":
    """The codec, and the base model that it must fit if that is on this machine."""
    if codec is None and isinstance(base, HubModel):
        raise ConfigError(
            f"the base model {base} is not on this machine yet",
            f"download it and its codec: hf download {base.repository} --local-dir DIR, then give "
            "--base-model DIR",
        )
    if codec is None and base is None:
        raise ConfigError(
            "no base model and no codec is set",
            "set base_model in fintts.yaml, or add --base-model DIR or --codec PATH",
        )
    model = read_config(base).shape if isinstance(base, Path) else None
    place = codec or base
    assert isinstance(place, Path)
    file = find_codec(place)
    if model is not None:
        refuse_other_codec(file.shape, model)
    return file, model


def _survey(
    terminal: Terminal, recordings: Recordings, file: CodecFile, model: "ModelShape | None"
) -> Survey:
    with terminal.progress("reading") as show:
        return survey(recordings, limits_of(file.shape, model), show)


def _encode(terminal: Terminal, surveyed: Survey, file: CodecFile, target: Path) -> RecordingsView:
    plan = EncodePlan.of(surveyed, file.path, target)
    total, done = surveyed.seconds, 0.0
    with terminal.progress("encoding") as show:

        def tell(seconds: float) -> None:
            nonlocal done
            done += seconds
            show(round(done), round(total))

        try:
            encoded = encode_with_trainer(plan, lambda one: tell(one.done_seconds))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"interrupted after {done:.0f} of {total:.0f} s of speech, which are kept; the "
                "same command continues from there"
            ) from None
    return RecordingsView(surveyed, file.shape, target, encoded)
