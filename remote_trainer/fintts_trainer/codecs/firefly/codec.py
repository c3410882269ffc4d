"""Fish Speech 1.5's codec as a `Codec`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_trainer.codecs.base import (
    exact,
    on_device,
    refuse_length,
    refuse_misshapen,
    refuse_too_high,
    wave_of,
)
from fintts_trainer.codecs.firefly.mel import log_mel, mel_filters
from fintts_trainer.codecs.firefly.network import FireflyNetwork
from fintts_trainer.codecs.weights import digest_of, load_network, read_codec_state

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch
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

        Leaves out a last frame that is not full, as in the data that trained the base model.

        Raises:
            CodecProblem: an utterance is shorter than a frame.
        """
        for wave in waves:
            refuse_length(self.shape, len(wave))
        return [self.all_codes(wave)[:, : len(wave) // self.sizes.frame_samples] for wave in waves]

    def all_codes(self, wave: Wave) -> Codes:
        """The same for one utterance, including a last frame that is not full."""
        with exact():
            mel = log_mel(on_device(wave, self.device)[0], self.sizes, self.filters)
            return self.network.encode(mel[None])[0].cpu().numpy()

    def decode(self, codes: Codes) -> Wave:
        """int64 [groups, frames] → float32 [samples].

        Raises:
            CodecProblem: the codes have another shape, or the codec has no such codes.
        """
        refuse_misshapen(self.shape, codes)
        refuse_too_high(self.shape, codes)
        with exact():
            return wave_of(self.network.decode(on_device(codes, self.device)))


def open_firefly(path: Path, sizes: FireflySizes, device: torch.device) -> FireflyCodec:
    """Reads the weights of a codec whose sizes are known.

    Raises:
        BaseModelProblem: the file is damaged.
        CodecProblem: its weights do not fit together.
    """
    state = read_codec_state(path)
    network = load_network(lambda: FireflyNetwork(sizes), state)
    filters = mel_filters(sizes).to(device)
    return FireflyCodec(network.to(device), sizes, filters, device, digest_of(state, repr(sizes)))
