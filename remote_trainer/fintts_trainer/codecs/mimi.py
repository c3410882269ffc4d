"""CSM's codec, Mimi, through transformers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from transformers import MimiConfig, MimiModel

from fintts_inputs.errors import CodecProblem
from fintts_trainer.codecs.base import (
    exact,
    on_device,
    refuse_length,
    refuse_misshapen,
    refuse_too_high,
    wave_of,
)
from fintts_trainer.codecs.weights import digest_of, fitting
from fintts_trainer.families.weight_files import read_state_dict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch
    from torch import Tensor, nn
    from transformers.models.mimi.modeling_mimi import MimiDecoderOutput, MimiEncoderOutput

    from fintts_inputs.codec.find import MimiSizes
    from fintts_inputs.codec.shape import CodecShape
    from fintts_trainer.codecs.base import Codes, Wave


@dataclass(frozen=True)
class MimiCodec:
    """A codec in memory.

    Each utterance is encoded alone: one convolution repeats the last value at the end of its input,
    so a padded batch gives another last frame.
    """

    network: MimiModel
    shape: CodecShape
    device: torch.device
    digest: str

    def encode(self, waves: Sequence[Wave]) -> list[Codes]:
        """Utterances → int64 [codebooks, frames] of each.

        Raises:
            CodecProblem: an utterance is empty.
        """
        for wave in waves:
            refuse_length(self.shape, len(wave))
        return [self._encode(wave) for wave in waves]

    def _encode(self, wave: Wave) -> Codes:
        with exact():
            samples = on_device(wave, self.device)[None]
            found = self.network.encode(
                samples, num_quantizers=self.shape.codebooks, return_dict=True
            )
            codes = cast("Tensor", cast("MimiEncoderOutput", found).audio_codes)
        return codes[0].cpu().numpy()

    def decode(self, codes: Codes) -> Wave:
        """int64 [codebooks, frames] → float32 [samples].

        Raises:
            CodecProblem: the codes have another shape, or the codec has no such codes.
        """
        refuse_misshapen(self.shape, codes)
        refuse_too_high(self.shape, codes)
        with exact():
            found = self.network.decode(on_device(codes, self.device), return_dict=True)
            return wave_of(cast("Tensor", cast("MimiDecoderOutput", found).audio_values))


def open_mimi(folder: Path, sizes: MimiSizes, device: torch.device) -> MimiCodec:
    """Reads the weights of Mimi from CSM's folder, or from its own.

    Raises:
        BaseModelProblem: a file is damaged.
        CodecProblem: weights are missing, unexpected or misshapen, or transformers refuses the
            configuration.
    """
    state = {
        name.removeprefix(sizes.prefix): weight
        for name, weight in read_state_dict(folder).items()
        if name.startswith(sizes.prefix)
    }
    try:
        network = MimiModel(MimiConfig.from_dict(sizes.config))
    # transformers checks in many places, with errors of many kinds.
    except (ValueError, TypeError, KeyError) as error:
        raise CodecProblem(f"transformers refuses the codec of {folder}: {error}") from None
    network.load_state_dict(fitting(state, network))
    network.requires_grad_(requires_grad=False)
    network.train(mode=False)
    cast("nn.Module", network).to(device)
    settings = json.dumps(sizes.config, sort_keys=True)
    return MimiCodec(network, sizes.shape, device, digest_of(state, settings))
