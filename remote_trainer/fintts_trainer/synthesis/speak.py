"""Speaks the voices of a plan, each into a WAV file.

The laptop runs this as a child process that answers in lines of JSON on stdout.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from fintts_inputs.base_model.families import read_config
from fintts_inputs.codec.find import find_codec_for
from fintts_inputs.data.codes import parse_codes
from fintts_inputs.data.listing import CODES
from fintts_inputs.errors import SpeechProblem
from fintts_inputs.prompts import prompt_begun_with
from fintts_inputs.speech.plan import Frames, SpeechAnswer, SpeechDone, SpeechPlan, Spoken
from fintts_store.disk.durable import create_file
from fintts_trainer.answers import answer_all
from fintts_trainer.codecs import open_codec
from fintts_trainer.families import open_configured
from fintts_trainer.model.lora import open_adapter
from fintts_trainer.synthesis.request import Reference, Speech, SpeechRequest
from fintts_trainer.synthesis.wav import wav_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from torch import nn

    from fintts_inputs.base_model.families import BaseModelConfig
    from fintts_inputs.speech.plan import ReferenceRecording, Voice
    from fintts_trainer.codecs.base import Codec, Codes
    from fintts_trainer.families.base import BaseModel


def answer_plan(path: Path) -> int:
    """Follows the plan in this file and reports on stdout; returns 0 or 1."""

    def follow(
        tell: Callable[[Frames | Spoken | SpeechDone], None],
    ) -> Frames | Spoken | SpeechDone:
        speak_plan(SpeechPlan.model_validate_json(path.read_bytes()), tell)
        return SpeechDone()

    return answer_all(follow, lambda part: SpeechAnswer(answer=part))


def speak_plan(plan: SpeechPlan, tell: Callable[[Frames | Spoken], None]) -> None:
    """Speaks with each voice in turn; finished files are kept after any interruption.

    Raises:
        BaseModelProblem, CodecProblem: a model, an adapter or the codec cannot be used.
        SpeechProblem: the text is too long, the reference cannot be read, or the GPU's memory is
            too small.
        StoreError: a file cannot be written.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        _Speaker(plan, device, tell).speak_all()
    except torch.OutOfMemoryError:
        raise SpeechProblem(
            "the GPU's memory is too small for the base model and its codec",
            "end other programs that use the GPU, or set CUDA_VISIBLE_DEVICES= to use the CPU",
        ) from None


class _Speaker:
    def __init__(
        self, plan: SpeechPlan, device: torch.device, tell: Callable[[Frames | Spoken], None]
    ) -> None:
        self._plan, self._tell = plan, tell
        self._config: BaseModelConfig = read_config(plan.base)
        self._codec = open_codec(find_codec_for(self._config.shape, plan.codec), device)
        references = () if plan.reference is None else (_reference(plan.reference, self._codec),)
        shape = self._codec.shape
        self._request = SpeechRequest(
            text="",
            codebook_sizes=shape.codebook_sizes,
            most_frames=min(
                max(1, round(plan.max_seconds * shape.frames_per_second)),
                shape.most_frames or sys.maxsize,
            ),
            sampling=plan.sampling,
            seed=plan.seed,
            references=references,
            as_fish=plan.as_fish,
        )
        self._bases: dict[str | None, BaseModel] = {}
        generates = any(voice.recording is None for voice in plan.voices)
        self._model = self._base(None).load(torch.float32).to(device).eval() if generates else None

    def speak_all(self) -> None:
        for voice in self._plan.voices:
            begun = time.monotonic()
            speech = self._speech_of(voice)
            seconds = time.monotonic() - begun
            wave_form = self._codec.decode(speech.codes)
            rate = self._codec.shape.sample_rate
            _write_new(voice.to, wav_of(wave_form, rate))
            self._tell(
                Spoken(
                    voice=voice.name,
                    path=voice.to,
                    seconds=len(wave_form) / rate,
                    frames=speech.codes.shape[1],
                    ended=speech.ended,
                    disallowed=speech.disallowed,
                    generating_seconds=seconds,
                )
            )

    def _base(self, name: str | None) -> BaseModel:
        """The base model with the prompt of this name, opened once."""
        if name not in self._bases:
            known = self._config.shape.prompts
            prompt = None if name is None else prompt_begun_with(name, known)
            self._bases[name] = open_configured(self._config, prompt)
        return self._bases[name]

    def _speech_of(self, voice: Voice) -> Speech:
        if voice.recording is not None:
            codes = _recorded(voice.recording, self._codec)
            return Speech(codes, ended=True, disallowed=0)
        base = self._base(voice.prompt)
        most = self._request.most_frames

        def tell(done: int) -> None:
            self._tell(Frames(voice=voice.name, done=done, most=most))

        assert self._model is not None
        with adapted(self._model, voice.adapter) as model:
            return base.synthesise(model, replace(self._request, text=voice.text), tell)


def _reference(recording: ReferenceRecording, codec: Codec) -> Reference:
    return Reference(recording.text, _encoded("reference", recording.path, codec))


def _encoded(what: str, path: Path, codec: Codec) -> Codes:
    # Only sound needs the packages that read it.
    from fintts_trainer.synthesis.sound import encoded

    return encoded(what, path, codec)


def _recorded(path: Path, codec: Codec) -> Codes:
    if path.suffix.lower() != CODES:
        return _encoded("recording", path, codec)
    try:
        codes, fault = parse_codes(path.read_bytes())
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
        codes = None
    if fault or codes is None:
        raise SpeechProblem(f"{path} {fault}", "`fintts data check` names all such files")
    return codes


def _write_new(path: Path, content: bytes) -> None:
    try:
        create_file(path, content)
    except FileExistsError:
        raise SpeechProblem(f"{path} exists already", "name another file") from None


@contextmanager
def adapted(model: nn.Module, adapter: Path | None) -> Generator[nn.Module]:
    """The model with an adapter on it while the block lasts; without one, the model itself."""
    if adapter is None:
        yield model
        return
    found = open_adapter(model, adapter).eval()
    try:
        yield found
    finally:
        found.unload()
