"""What a speech recogniser of transformers hears: Whisper and its like, or a CTC model."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from transformers import (
    AutoConfig,
    AutoModelForCTC,
    AutoModelForSpeechSeq2Seq,
    AutoProcessor,
    StoppingCriteria,
    StoppingCriteriaList,
    logging,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES

from fintts_inputs.errors import EvalModelProblem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor, nn

    from fintts_trainer.codecs.base import Wave

RATE = 16_000
PROCESSORS: Any = AutoProcessor  # transformers types neither
QUIET: Any = logging
LEAST_SECONDS = 0.05
"""shorter sound has no word in it, and some models cannot take it"""
MOST_TOKENS = 400
"""of a sentence of at most 30 seconds"""


class _Watch(StoppingCriteria):
    """Lets the run look at its limits before each token."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look

    def __call__(self, input_ids: Any, scores: Any, **_more: Any) -> Any:
        self._look()
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


@dataclass(frozen=True)
class Recogniser:
    """A speech recogniser in memory, which hears the same in the same sound.

    Attributes:
        writes: whether it generates tokens; otherwise it labels each frame (CTC).
        language: for a model that knows several, as Whisper names it.
    """

    model: nn.Module
    processor: Any
    language: str
    writes: bool

    def heard(self, wave: Wave, look: Callable[[], None]) -> str:
        """The text of a sentence.

        Args:
            wave: float32 [samples] at 16 kHz, at most 30 seconds.
            look: called before each token; what it raises ends the listening.
        """
        look()
        if len(wave) < LEAST_SECONDS * RATE:
            return ""
        inputs = self.processor(wave, sampling_rate=RATE, return_tensors="pt")
        device = next(self.model.parameters()).device
        # Wav2Vec2 draws random numbers even when it is not trained; training must not notice.
        with (
            torch.random.fork_rng([] if device.type == "cpu" else [device]),
            torch.inference_mode(),
        ):
            tokens = self._written(inputs, look) if self.writes else self._labelled(inputs)
        return str(self.processor.batch_decode(tokens, skip_special_tokens=True)[0]).strip()

    def _written(self, inputs: Any, look: Callable[[], None]) -> Tensor:
        model = cast("Any", self.model)
        known = getattr(model.generation_config, "lang_to_id", None)
        spoken = {"language": self.language, "task": "transcribe"} if known else {}
        parameter = next(self.model.parameters())
        return cast(
            "Tensor",
            model.generate(
                inputs.input_features.to(parameter.device, parameter.dtype),
                max_new_tokens=min(MOST_TOKENS, _room(model.config)),
                stopping_criteria=StoppingCriteriaList([_Watch(look)]),
                **spoken,
            ),
        )

    def _labelled(self, inputs: Any) -> Tensor:
        parameter = next(self.model.parameters())
        values = inputs.get("input_values", inputs.get("input_features"))
        logits: Tensor = self.model(values.to(parameter.device, parameter.dtype)).logits
        return logits.argmax(-1)


def _room(config: Any) -> int:
    """How many tokens fit behind those that name language and task."""
    return int(getattr(config, "max_target_positions", MOST_TOKENS)) - 8


def open_recogniser(folder: Path, language: str, device: torch.device) -> Recogniser:
    """Loads a recogniser; neither its weights nor its files can hold code.

    Raises:
        EvalModelProblem: transformers knows no such model, or it is not complete.
    """
    try:
        QUIET.set_verbosity_error()
        QUIET.disable_progress_bar()
        config = AutoConfig.from_pretrained(folder, local_files_only=True)
        writes = config.model_type in MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES
        kind = AutoModelForSpeechSeq2Seq if writes else AutoModelForCTC
        dtype = torch.float32 if device.type == "cpu" else torch.float16
        model = kind.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=dtype
        )
        processor = PROCESSORS.from_pretrained(folder, local_files_only=True)
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RuntimeError,
        ImportError,
        pickle.UnpicklingError,
    ) as error:
        raise EvalModelProblem(
            f"it cannot be loaded: {(str(error) or repr(error)).splitlines()[0]}",
            "give a complete folder of a recogniser that transformers knows, such as Whisper's",
        ) from None
    if writes:
        _make_repeatable(model.generation_config)
    model = model.to(device).eval().requires_grad_(False)
    return Recogniser(model, processor, language, writes)


def _make_repeatable(generation: Any) -> None:
    """The likeliest token each time, whatever the model's own settings for generation are."""
    generation.do_sample, generation.num_beams, generation.max_length = False, 1, None
    generation.temperature = generation.top_k = generation.top_p = None
