"""Measures how long a codec takes for a second of sound, and how much memory.

    python benchmarks/encode.py [--codec s1|firefly] [--seconds N] [--rounds N] [--json]

Random weights in float32 of the released sizes: OpenAudio S1's codec, or Fish Speech 1.5's. One
clip of N seconds is encoded, as `fintts data encode` does, and its codes are decoded, as
`fintts speak` does. Seconds are the process's CPU time with one thread, since other programs share
the machine; on a GPU they are wall-clock seconds. Results are medians of the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from fintts_inputs.codec.firefly import FireflySizes
from fintts_inputs.codec.s1 import S1Sizes, TransformerSizes
from fintts_trainer.codecs.firefly.codec import FireflyCodec
from fintts_trainer.codecs.firefly.mel import mel_filters
from fintts_trainer.codecs.firefly.network import FireflyNetwork
from fintts_trainer.codecs.s1.codec import S1Codec, add_tables
from fintts_trainer.codecs.s1.network import S1Network
from fintts_trainer.loop.step_clock import memory_peak_bytes, synchronize

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from fintts_trainer.codecs.base import Codec

RATE = 44_100


def stack(layers: int, window: int, positions: int) -> TransformerSizes:
    """A transformer of S1's codec."""
    return TransformerSizes(layers, 1024, 16, 64, 3072, window, positions, 10_000, 1e-5)


S1 = S1Sizes(
    sample_rate=RATE,
    encoder_channels=(64, 128, 256, 512, 1024),
    encoder_strides=(2, 4, 8, 8),
    encoder_transformer=stack(4, 512, 16_384),
    latent=1024,
    down=(2, 2),
    pre=stack(8, 128, 4096),
    post=stack(8, 128, 4096),
    codebook_sizes=(4096, *9 * (1024,)),
    semantic_codebooks=1,
    codebook_dim=8,
    decoder_channels=(1536, 768, 384, 192, 96),
    decoder_strides=(8, 8, 4, 2),
)
FIREFLY = FireflySizes(
    sample_rate=RATE,
    fft_samples=2048,
    hop_samples=512,
    bands=160,
    depths=(3, 3, 9, 3),
    dims=(128, 256, 384, 512),
    down=(2, 2),
    groups=8,
    levels=(8, 5, 5, 5),
    head_channels=(512, 256, 128, 64, 32, 16),
    head_kernels=(16, 16, 4, 4, 4),
    stacks=(3, 7, 11),
    pre_kernel=13,
    post_kernel=13,
)


@dataclass(frozen=True, slots=True)
class Found:
    """The measurements; the peak is that of the whole process."""

    codec: str
    parameters: int
    seconds_to_encode_a_second: float
    seconds_to_decode_a_second: float
    memory_before_bytes: int
    memory_peak_bytes: int


def random_weights(network: nn.Module, device: torch.device) -> None:
    """Small ones, so that nothing overflows."""
    generator = torch.Generator(device).manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0, 0.02, generator=generator)


def open_s1(device: torch.device) -> Codec:
    """S1's codec."""
    with device:
        network = S1Network(S1).eval()
    random_weights(network, device)
    add_tables(network, {})
    return S1Codec(network.to(device), S1, device, "")


def open_firefly(device: torch.device) -> Codec:
    """Fish Speech 1.5's codec."""
    with device:
        network = FireflyNetwork(FIREFLY).eval()
    random_weights(network, device)
    filters = mel_filters(FIREFLY).to(device)
    return FireflyCodec(network, FIREFLY, filters, device, "")


OPEN: dict[str, Callable[[torch.device], Codec]] = {"s1": open_s1, "firefly": open_firefly}


def measure(name: str, seconds: float, rounds: int) -> Found:
    """Encodes and decodes in turn, so that other load affects both equally."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    clock = time.process_time if device.type == "cpu" else time.monotonic
    codec = OPEN[name](device)
    before = memory_peak_bytes(device)
    wave = np.random.default_rng(1).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    encoding: list[float] = []
    decoding: list[float] = []
    for _ in range(rounds):
        begun = clock()
        (codes,) = codec.encode([wave])
        synchronize(device)
        between = clock()
        codec.decode(codes)
        synchronize(device)
        encoding.append((between - begun) / seconds)
        decoding.append((clock() - between) / seconds)
    weights = sum(one.numel() for one in codec.network.parameters())  # type: ignore[attr-defined]
    peak = memory_peak_bytes(device)
    encode, decode = statistics.median(encoding), statistics.median(decoding)
    return Found(name, weights, encode, decode, before, peak)


def main() -> None:
    """Measures, and prints a line or a document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--codec", choices=sorted(OPEN), default="s1")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    found = measure(options.codec, options.seconds, options.rounds)
    if options.json:
        print(json.dumps(asdict(found), indent=1))
        return
    print(
        f"{found.codec}: {found.seconds_to_encode_a_second:.2f} s to encode a second, "
        f"{found.seconds_to_decode_a_second:.2f} s to decode one; memory "
        f"{found.memory_before_bytes / 1e9:.2f} GB with the weights, at most "
        f"{found.memory_peak_bytes / 1e9:.2f} GB"
    )


if __name__ == "__main__":
    main()
