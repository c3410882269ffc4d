"""The models that measure what a run speaks: which files they need, found without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from fintts_inputs.base_model.files import CONFIG, INDEX, SAFETENSORS, read_index
from fintts_inputs.base_model.headers import compare_with_index
from fintts_inputs.base_model.reading import read_json
from fintts_inputs.base_model.tensors import read_header
from fintts_inputs.errors import BaseModelProblem, EvalModelProblem
from fintts_inputs.links import refuse_links_out
from fintts_store.disk.digest import sha256_of
from fintts_store.disk.errors import explained
from fintts_store.file_names import DNSMOS, EVAL_MODEL, SPEAKER_ENCODER

if TYPE_CHECKING:
    from fintts_inputs.config import EvalConfig, EvalKind


class Released(NamedTuple):
    """A file of a package on PyPI."""

    wheel: str
    sha256: str


RECOGNISERS = ("WhisperForConditionalGeneration", "ForCTC")
"""how the names of transformers' architectures end: the one that writes text, those that spell"""
OF_RECOGNISERS = EVAL_MODEL - {SPEAKER_ENCODER, DNSMOS}
PROCESSORS = ("preprocessor_config.json", "processor_config.json")
TOKENIZERS = ("tokenizer.json", "vocab.json")
RELEASED = {
    SPEAKER_ENCODER: Released(
        "resemblyzer==0.1.4", "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e"
    ),
    DNSMOS: Released(
        "speechmos==0.0.1.1", "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd"
    ),
}
AGAIN = "download the recogniser again"


class RecogniserConfig(BaseModel):
    """What config.json says of a speech recogniser."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)

    architectures: tuple[str, ...] = ()


def eval_model_files(config: EvalConfig) -> dict[EvalKind, tuple[Path, ...]]:
    """The files of each model that the configuration names.

    Raises:
        EvalModelProblem, BaseModelProblem: one is not there, or is something else.
    """
    found: dict[EvalKind, tuple[Path, ...]] = {}
    if config.asr is not None:
        found["asr"] = recogniser_files(Path(config.asr))
    if config.speaker_encoder is not None:
        found["speaker_encoder"] = (_one_file(config.speaker_encoder, SPEAKER_ENCODER),)
    if config.dnsmos is not None:
        found["dnsmos"] = (_one_file(config.dnsmos, DNSMOS),)
    return found


def recogniser_files(folder: Path) -> tuple[Path, ...]:
    """The files of a speech recogniser in transformers' format, with weights that hold no code.

    Raises:
        EvalModelProblem, BaseModelProblem: it is none, or its weights are not here.
    """
    if str(folder).startswith("hf:"):
        raise EvalModelProblem(
            f"the speech recogniser {str(folder).removeprefix('hf:/')} is not on this machine yet",
            "`fintts cloud launch` and `fintts train` download it",
        )
    if not folder.is_dir():
        raise EvalModelProblem(
            f"there is no folder {folder} with a speech recogniser",
            "set eval.asr to a folder or a Hugging Face id such as openai/whisper-small",
        )
    refuse_links_out(folder, (CONFIG, INDEX))  # before they are read
    if not (folder / CONFIG).is_file():
        raise EvalModelProblem(
            f"{folder} has no {CONFIG}", "give the folder of a speech recogniser of transformers"
        )
    _refuse_no_recogniser(folder)
    weights = _weights(folder)
    names = sorted({*weights, *(name for name in OF_RECOGNISERS if (folder / name).is_file())})
    refuse_links_out(folder, names)
    _refuse_incomplete(folder, weights - {INDEX})
    return tuple(folder / name for name in names)


def _refuse_no_recogniser(folder: Path) -> None:
    try:
        kinds = RecogniserConfig.model_validate(read_json(folder / CONFIG)).architectures
    except ValidationError:
        kinds = ()
    if not any(kind.endswith(RECOGNISERS) for kind in kinds):
        raise EvalModelProblem(
            f"{folder} is no speech recogniser: {CONFIG} names {', '.join(kinds) or 'none'}",
            "use one that transformers knows, such as Whisper or Wav2Vec2 with CTC",
        )


def _weights(folder: Path) -> set[str]:
    if (folder / SAFETENSORS).is_file():
        return {SAFETENSORS}
    if not (folder / INDEX).is_file():
        raise EvalModelProblem(
            f"{folder} has no {SAFETENSORS}", "download the recogniser with its safetensors"
        )
    parts = set(read_index(folder / INDEX).values())
    missing = sorted(name for name in parts if not (folder / name).is_file())
    if missing:
        raise EvalModelProblem(
            f"{folder} has no {', '.join(missing)}, which {INDEX} names", "download them again"
        )
    return {INDEX, *parts}


def _refuse_incomplete(folder: Path, weights: set[str]) -> None:
    """Refuses a recogniser without all of its weights, or that cannot read sound or write text."""
    for wanted in (PROCESSORS, TOKENIZERS):
        if not any((folder / name).is_file() for name in wanted):
            raise EvalModelProblem(f"{folder} has no {' or '.join(wanted)}", AGAIN)
    try:
        files = {name: read_header(folder / name, AGAIN) for name in weights}
        if files.keys() != {SAFETENSORS}:
            compare_with_index(folder, files)
    except BaseModelProblem as error:
        raise EvalModelProblem(error.message, AGAIN) from None


def _one_file(path: Path, name: str) -> Path:
    """A file that must be the released one, to the byte: a model of the same name from elsewhere
    would measure something else."""
    wheel, sha256 = RELEASED[name]
    hint = f"`pip install --no-deps --target eval-models {wheel}` brings it"
    if not path.is_file():
        raise EvalModelProblem(f"there is no file {path}", hint)
    if path.name != name:
        raise EvalModelProblem(f"{path} is not called {name}", hint)
    with explained(path):
        found = sha256_of(path)
    if found != sha256:
        raise EvalModelProblem(f"{path} is not the file of {wheel}", hint)
    return path
