"""The log mel spectrogram that Fish Speech 1.5's codec reads."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it

if TYPE_CHECKING:
    from torch import Tensor

    from fintts_inputs.codec.firefly import FireflySizes

LINEAR_HZ, KNEE_HZ = 200 / 3, 1000.0
LOG_STEP = math.log(6.4) / 27
"""Slaney's scale (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above."""
FLOOR = 1e-5


def log_mel(wave: Tensor, sizes: FireflySizes, filters: Tensor) -> Tensor:
    """[samples] → natural logarithms, [bands, samples // hop]."""
    edge = (sizes.fft_samples - sizes.hop_samples) // 2
    padded = F.pad(wave[None, None], (edge, edge), mode="reflect")[0, 0]
    window = torch.hann_window(sizes.fft_samples, device=wave.device)
    spectrum = torch.stft(
        padded,
        sizes.fft_samples,
        sizes.hop_samples,
        window=window,
        center=False,
        return_complex=True,
    )
    parts = torch.view_as_real(spectrum)
    magnitude = (parts.square().sum(-1) + 1e-6).sqrt()
    return (filters.T @ magnitude).clamp(min=FLOOR).log()


def mel_filters(sizes: FireflySizes) -> Tensor:
    """Triangles of equal area on Slaney's scale up to half the rate, float32 [bins, bands]."""
    highest = sizes.sample_rate / 2
    bins = torch.linspace(0, highest, sizes.fft_samples // 2 + 1)
    edges = _hertz(torch.linspace(0.0, _mel(highest), sizes.bands + 2))
    widths = edges.diff()
    distances = edges[None] - bins[:, None]
    rising, falling = -distances[:, :-2] / widths[:-1], distances[:, 2:] / widths[1:]
    triangles = torch.minimum(rising, falling).clamp(min=0)
    return triangles * (2 / (edges[2:] - edges[:-2]))


def _mel(hertz: float) -> float:
    if hertz < KNEE_HZ:
        return hertz / LINEAR_HZ
    return KNEE_HZ / LINEAR_HZ + math.log(hertz / KNEE_HZ) / LOG_STEP


def _hertz(mel: Tensor) -> Tensor:
    knee = KNEE_HZ / LINEAR_HZ
    above = KNEE_HZ * torch.exp(LOG_STEP * (mel - knee))
    return torch.where(mel >= knee, above, LINEAR_HZ * mel)
