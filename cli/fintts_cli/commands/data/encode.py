"""`fintts data encode`: turns recordings and their texts into pairs for training."""

from pathlib import Path
from typing import Annotated

import typer

from fintts_cli.commands.data.spelled import SpellNumbers, speller
from fintts_cli.commands.opening import read_sources, with_base_model
from fintts_cli.commands.options import BaseModel, Codec, Config, Json, Quiet
from fintts_cli.commands.targets import refuse_unwritable
from fintts_cli.errors import UsageProblem
from fintts_cli.terminal.terminal import Terminal
from fintts_cli.trainer_process.encoding import require_encoder
from fintts_inputs.recordings.files import list_recordings

CODES_SUFFIX = "-codes"


def encode(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Folder of recordings.")],
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Target folder; by default SOURCE-codes."),
    ] = None,
    codec: Codec = None,
    spell_numbers: SpellNumbers = None,
    base_model: BaseModel = None,
    config: Config = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Turn recordings into training data.

    Reads WAV, FLAC, MP3 and OGG with their texts: .txt or .lab beside them, LJSpeech's
    metadata.csv, JSON lines or a Hugging Face audiofolder. Cuts long recordings by a .srt or .vtt
    beside them. Lists every problem with its file. A second call encodes only what is new.
    """
    require_encoder()
    terminal = Terminal(json=json, quiet=quiet)
    target = to or source.with_name(source.resolve().name + CODES_SUFFIX)
    _refuse_target(source, target)
    recordings = list_recordings(source)
    found = read_sources(terminal, {"base_model": base_model}, config)
    base = with_base_model(terminal, found, may_download=False).settings.base_model
    # It needs the packages that read sound.
    from fintts_cli.commands.data.encoded import encode_recordings

    encode_recordings(terminal, recordings, target, codec, base, speller(spell_numbers))


def _refuse_target(source: Path, target: Path) -> None:
    refuse_unwritable(target, "--to")
    if target.resolve().is_relative_to(source.resolve()):
        raise UsageProblem(
            f"{target} is inside the folder of the recordings",
            "choose a folder outside it with --to, so that no text is overwritten",
        )
