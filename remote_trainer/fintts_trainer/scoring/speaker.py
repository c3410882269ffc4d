"""Whose voice speaks: the GE2E speaker encoder of Resemblyzer (Wan et al. 2018, arXiv:1710.10467).

Its package no longer imports beside today's setuptools, so this reads its weights alone.
"""

from __future__ import annotations

import math
import pickle
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from transformers.audio_utils import mel_filter_bank

from fintts_inputs.errors import EvalModelProblem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from fintts_trainer.codecs.base import Wave

RATE = 16_000
WINDOW, HOP, BANDS = 400, 160, 40
"""of the spectrogram: samples of a frame, samples between two, mel bands"""
FRAMES, STRIDE = 160, 77
"""of a partial utterance: its frames, and those between two of them"""
LEAST_COVERAGE = 0.75
"""share of the last partial utterance that must be sound"""
HIDDEN, LAYERS, SIZE = 256, 3, 256
LOUDNESS_DBFS = -30.0
"""quieter speech is raised to this, as in training"""
LEAST_SECONDS = 0.1


class SpeakerEncoder(nn.Module):
    """A wave at 16 kHz → a direction that depends on the voice."""

    filters: Tensor
    window: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(BANDS, HIDDEN, LAYERS, batch_first=True)
        self.linear = nn.Linear(HIDDEN, SIZE)
        bank = mel_filter_bank(WINDOW // 2 + 1, BANDS, 0, RATE / 2, RATE, "slaney", "slaney")
        self.register_buffer("filters", torch.from_numpy(bank).float(), persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    def embedding(self, wave: Wave) -> Tensor:
        """float32 [samples] → [256] of length 1, the mean over partial utterances."""
        starts, samples = partials(len(wave))
        padded = np.pad(wave, (0, max(0, samples - len(wave))))
        frames = self._mel(torch.from_numpy(padded).to(self.filters.device))
        parts = torch.stack([frames[start : start + FRAMES] for start in starts])
        return nn.functional.normalize(self(parts).mean(0), dim=0)

    def forward(self, parts: Tensor) -> Tensor:
        """[partial utterances, frames, bands] → [partial utterances, 256], each of length 1."""
        _, (hidden, _) = self.lstm(parts)
        return nn.functional.normalize(torch.relu(self.linear(hidden[-1])), dim=1)

    def _mel(self, wave: Tensor) -> Tensor:
        """[samples] → [frames, bands] of power, without a logarithm."""
        spectrum = torch.stft(
            wave, WINDOW, HOP, window=self.window, pad_mode="constant", return_complex=True
        )
        return spectrum.abs().square().T @ self.filters


def partials(samples: int) -> tuple[list[int], int]:
    """The first frame of each partial utterance, and how many samples they need in all."""
    frames = math.ceil((samples + 1) / HOP)
    starts = list(range(0, max(1, frames - FRAMES + STRIDE + 1), STRIDE))
    last = starts[-1] * HOP
    if len(starts) > 1 and (samples - last) / (FRAMES * HOP) < LEAST_COVERAGE:
        starts.pop()
    return starts, (starts[-1] + FRAMES) * HOP


def raised(wave: Wave) -> Wave:
    """Speech that is quieter than −30 dBFS, raised to it."""
    level = 10 * math.log10(float(np.mean(np.square(wave, dtype=np.float64))) or 1e-20)
    gain = 10 ** (max(0.0, LOUDNESS_DBFS - level) / 20)
    return np.asarray(wave * np.float32(gain), np.float32)


def voice_of(encoder: SpeakerEncoder, waves: Sequence[Wave]) -> Tensor | None:
    """The direction of the voice in several sentences, joined, since short ones say little; None
    without any sound.

    Args:
        waves: at 16 kHz.
    """
    joined = np.concatenate([*waves, np.zeros(0, np.float32)])
    if len(joined) < LEAST_SECONDS * RATE or not joined.any():
        return None
    with torch.inference_mode():
        return encoder.embedding(raised(joined)).cpu()


def open_speaker_encoder(path: Path, device: torch.device) -> SpeakerEncoder:
    """Reads Resemblyzer's pretrained.pt without executing code.

    Raises:
        EvalModelProblem: it is something else.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        state = {
            name: weight
            for name, weight in content["model_state"].items()
            if name.startswith(("lstm.", "linear."))
        }
        encoder = SpeakerEncoder()
        encoder.load_state_dict(state)
    except (
        OSError,
        RuntimeError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        EOFError,
        pickle.UnpicklingError,
    ) as error:
        raise EvalModelProblem(
            f"{path} is not Resemblyzer's encoder: {(str(error) or repr(error)).splitlines()[0]}",
            "use pretrained.pt from resemblyzer 0.1.4",
        ) from None
    return encoder.to(device).eval().requires_grad_(requires_grad=False)
