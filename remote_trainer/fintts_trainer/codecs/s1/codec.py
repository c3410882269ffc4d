"""S1's codec as a `Codec`: whole utterances in a padded batch, and codes back into a wave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from fintts_trainer.codecs.base import (
    exact,
    on_device,
    refuse_length,
    refuse_misshapen,
    wave_of,
)
from fintts_trainer.codecs.s1.network import S1Network
from fintts_trainer.codecs.s1.transformer import WindowTransformer, rotations
from fintts_trainer.codecs.weights import digest_of, load_network, read_codec_state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fintts_inputs.codec.s1 import S1Sizes
    from fintts_inputs.codec.shape import CodecShape
    from fintts_trainer.codecs.base import Codes, Wave
    from fintts_trainer.families.weight_files import StateDict


@dataclass(frozen=True)
class S1Codec:
    """A codec in memory. Everything in it is causal, so padding on the right changes no code."""

    network: S1Network
    sizes: S1Sizes
    device: torch.device
    digest: str

    @property
    def shape(self) -> CodecShape:
        """Rate, frames and codebooks."""
        return self.sizes.shape

    def encode(self, waves: Sequence[Wave]) -> list[Codes]:
        """Utterances → int64 [codebooks, frames] of each; zeros fill the last frame.

        Raises:
            CodecProblem: an utterance is too long or empty.
        """
        for wave in waves:
            refuse_length(self.shape, len(wave))
        hop = self.sizes.frame_samples
        frames = [-(-len(wave) // hop) for wave in waves]
        padded = torch.zeros(len(waves), 1, max(frames, default=0) * hop)
        for row, wave in zip(padded, waves, strict=True):
            row[0, : len(wave)] = torch.from_numpy(np.ascontiguousarray(wave))
        if not waves:
            return []
        with exact():
            codes = self.network.encode(padded.to(self.device)).cpu().numpy()
        return [row[:, :count] for row, count in zip(codes, frames, strict=True)]

    def decode(self, codes: Codes) -> Wave:
        """int64 [codebooks, frames] → float32 [samples]; codes that are too high are clamped.

        Raises:
            CodecProblem: the codes have another shape, are negative, or too many.
        """
        refuse_misshapen(self.shape, codes)
        refuse_length(self.shape, codes.shape[1] * self.sizes.frame_samples)
        with exact():
            return wave_of(self.network.decode(on_device(codes, self.device)))


def open_s1(path: Path, sizes: S1Sizes, device: torch.device) -> S1Codec:
    """Reads the weights of a codec whose sizes are known.

    Raises:
        BaseModelProblem: the file is damaged.
        CodecProblem: its weights do not fit together.
    """
    state = read_codec_state(path)
    network = load_network(lambda: S1Network(sizes), state)
    add_tables(network, state)
    return S1Codec(network.to(device), sizes, device, digest_of(state, repr(sizes)))


def add_tables(network: S1Network, state: StateDict) -> None:
    """Gives each transformer its table of rotations: from the file, or computed."""
    for name, module in network.named_modules():
        if isinstance(module, WindowTransformer):
            stored = state.get(f"{name}.freqs_cis")
            table = rotations(module.sizes) if stored is None else stored.float()
            module.table = torch.nn.Buffer(table, persistent=False)
