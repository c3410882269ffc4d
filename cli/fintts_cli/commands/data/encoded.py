"""The work of `fintts data encode`: reads recordings, then lets the trainer encode them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fintts_cli.errors import CheckFailed, ConfigError
from fintts_cli.settings.hub_model import HubModel
from fintts_cli.speech.models import BY_OPTION
from fintts_cli.trainer_process.encoding import encode as encode_with_trainer
from fintts_cli.views.data.recordings import RecordingsView, render_recordings
from fintts_cli.views.units import counted
from fintts_inputs.base_model.families import read_config
from fintts_inputs.codec.find import find_codec, find_codec_for
from fintts_inputs.recordings.plan import EncodePlan
from fintts_inputs.recordings.survey import limits_of, survey

if TYPE_CHECKING:
    from fintts_cli.terminal.terminal import Terminal
    from fintts_inputs.base_model.shape import ModelShape
    from fintts_inputs.codec.find import CodecFile
    from fintts_inputs.recordings.files import Recordings
    from fintts_inputs.recordings.survey import Survey
    from fintts_inputs.recordings.transcripts import Spell


def encode_recordings(
    terminal: Terminal,
    recordings: Recordings,
    target: Path,
    codec: Path | None,
    base: Path | HubModel | None,
    spell: Spell | None = None,
) -> None:
    """Encodes what has no problem, and shows everything by file.

    Args:
        codec: its file or folder; None is the codec beside the base model.
        spell: puts numbers of texts into words, if you asked for it.

    Raises:
        CheckFailed: a recording cannot be used, or the encoder failed; the others are encoded.
        ConfigError: there is neither codec nor base model here.
        InputError: one of them is damaged, or they do not fit each other.
    """
    file, model = _open_codec(codec, base)
    limits = limits_of(file.shape, model)
    with terminal.progress("reading") as show:
        surveyed = survey(recordings, limits, show, spell)
    view = RecordingsView(surveyed, file.shape)
    if surveyed.utterances:
        view = _encode(terminal, surveyed, file, target)
    if terminal.json:
        terminal.document(view.to_json())
    else:
        terminal.data(render_recordings(view))
    _refuse_problems(recordings.folder, view)


def _refuse_problems(source: Path, view: RecordingsView) -> None:
    if view.encoded is None:
        raise CheckFailed(f"{source} has nothing to encode", "fix the problems listed above")
    if view.problems:
        raise CheckFailed(
            f"the recordings have {counted(len(view.problems), 'problem')}; the others are encoded",
            "fix the files listed above, and run the same command again",
        )


def _open_codec(
    codec: Path | None, base: Path | HubModel | None
) -> tuple[CodecFile, ModelShape | None]:
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
    if model is None:
        return find_codec(place, BY_OPTION), None
    return find_codec_for(model, place, BY_OPTION), model


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
