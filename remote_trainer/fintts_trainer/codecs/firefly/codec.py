"""Fish Speech 1.5's codec as a `Codec`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from fintts_inputs.errors import CodecProblem
from fintts_trainer.codecs.base import exact, refuse_length, refuse_misshapen
from fintts_trainer.codecs.firefly.mel import log_mel, mel_filters
from fintts_trainer.codecs.firefly.network import FireflyNetwork
from fintts_trainer.codecs.weights import digest_of, load_into, read_codec_state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from fintts_inputs.codec.firefly import FireflySizes
    from fintts_inputs.codec.shape import CodecShape
    from fintts_trainer.codecs.base import Codes, Wave


@dataclass(frozen=True)
class FireflyCodec:
    """A codec in memory.

    Each utterance is encoded alone: the spectrogram mirrors the end of the wave, and in a padded
    batch it would mirror zeros.
    """

    network: FireflyNetwork
    sizes: FireflySizes
    filters: Tensor
    device: torch.device
    digest: str

    @property
    def shape(self) -> CodecShape:
        """Rate, frames and codebooks."""
        return self.sizes.shape

    def encode(self, waves: Sequence[Wave]) -> list[Codes]:
        """Utterances → int64 [groups, samples // frame_samples] of each.

        A last frame that is not full is left out, as in the data that the base model was trained
        on.

        Raises:
            CodecProblem: an utterance is shorter than a frame.
        """
        for wave in waves:
            refuse_length(self.shape, len(wave))
        return [self.all_codes(wave)[:, : len(wave) // self.sizes.frame_samples] for wave in waves]

    def all_codes(self, wave: Wave) -> Codes:
        """The same of one utterance, with a last frame that is not full."""
        with exact():
            samples = torch.from_numpy(np.ascontiguousarray(wave)).to(self.device)
            mel = log_mel(samples, self.sizes, self.filters)
            return self.network.encode(mel[None])[0].cpu().numpy()

    def decode(self, codes: Codes) -> Wave:
        """int64 [groups, frames] → float32 [samples].

        Raises:
            CodecProblem: the codes are of another shape, or there is none of such a number.
        """
        refuse_misshapen(self.shape, codes)
        size = self.shape.codebook_sizes[0]
        if codes.max() >= size:
            raise CodecProblem(
                f"the codes hold {codes.max()}, and the codec's end at {size - 1}",
                "take the codes of the codec that belongs to the base model",
            )
        with exact():
            wave = self.network.decode(torch.from_numpy(codes)[None].to(self.device))
        return wave[0, 0].cpu().numpy()


def open_firefly(path: Path, sizes: FireflySizes, device: torch.device) -> FireflyCodec:
    """Reads the weights of a codec whose sizes are known.

    Raises:
        BaseModelProblem: the file is damaged.
        CodecProblem: its weights do not fit together.
    """
    state = read_codec_state(path)
    with torch.device("meta"):
        network = FireflyNetwork(sizes)
    load_into(network, state)
    filters = mel_filters(sizes).to(device)
    return FireflyCodec(network.to(device), sizes, filters, device, digest_of(state, repr(sizes)))
