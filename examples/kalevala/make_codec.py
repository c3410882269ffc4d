"""Trains the example's codec from nothing: OpenAudio S1's architecture, small, at 16 kHz.

    python make_recordings.py --codec DIR
    python make_codec.py DIR                writes codec.pth and codec_config.json

The network is the product's own, S1's without its transformers. It learns to reproduce the mel
spectrogram; there is no discriminator. At first the decoder gets the encoder's result as it is.
Then the codebooks are placed where that result is, and follow it from there.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from codec_codebooks import Codebooks
from codec_layers import channels_last, initialise
from make_recordings import RATE

from fintts_inputs.codec.s1 import RESIDUAL, S1Sizes
from fintts_inputs.recordings.level import gain_to, loudness_of, speech_in
from fintts_inputs.recordings.sound import at_rate, read_sound
from fintts_trainer.codecs.s1.network import S1Network
from fintts_trainer.codecs.s1.quantise import Quantiser

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor

    from fintts_trainer.codecs.s1.network import Quantizer

HERE = Path(__file__).parent
SEED = 1849
THREADS = 2
MINUTES = 40
TRAINED_CODEBOOKS, KEPT_CODEBOOKS = 8, 4
"""The last ones help the training, but add little to what is heard."""
ENCODER_SHARE = 0.5
"""of the time; then its codes are final, and the decoder goes on alone"""
SIZES = S1Sizes(
    sample_rate=RATE,
    encoder_channels=(8, 32, 64, 96, 128),
    encoder_strides=(8, 4, 4, 5),
    encoder_transformer=None,
    latent=128,
    down=(),
    pre=None,
    post=None,
    codebook_sizes=(256,) * TRAINED_CODEBOOKS,
    semantic_codebooks=1,
    codebook_dim=8,
    decoder_channels=(192, 128, 80, 40, 16),
    decoder_strides=(5, 4, 4, 8),
)
CROP = 16 * SIZES.frame_samples
BATCH_SIZE = 6
UNQUANTISED_STEPS = 200
PLACING_CROPS = 48
"""of four times the length, to place the codebooks by"""
ALL_CODEBOOKS = 0.7
"""share of the steps; the others leave the last ones out, so that the first carry the most"""
LEAST_CODEBOOKS = 3
COMMITMENT = 0.1
LEARNING_RATE, LATER_LEARNING_RATE = 1.5e-3, 5e-4
WARMUP_STEPS = 50
MAX_GRAD_NORM = 1.0
QUIETEST_DB, LOUDEST_DB = -4.0, 3.0
SAVE_EVERY = 100
BANDS = {1024: 80, 512: 40, 256: 20}
"""window in samples → mel bands"""
LOG_FLOOR = 1e-3


def read_speech(folder: Path) -> npt.NDArray[np.int16]:
    """All recordings in a row, each trimmed and normalised as `fintts data encode` does."""
    return np.concatenate([_prepared(path) for path in sorted(folder.glob("*.flac"))])


def _prepared(path: Path) -> npt.NDArray[np.int16]:
    sound = read_sound(path, most_seconds=60.0)
    samples = at_rate(sound.samples, sound.rate, RATE)
    begin, end = speech_in(samples, RATE)
    kept = samples[begin:end]
    gain = gain_to(loudness_of(kept, RATE), float(np.abs(kept).max()))
    return (kept * gain * 32767).astype(np.int16)


class Crops:
    """Random pieces of the speech, at random levels."""

    def __init__(self, speech: npt.NDArray[np.int16]) -> None:
        self._speech, self._random = speech, np.random.default_rng(SEED)

    def draw(self, count: int, length: int) -> Tensor:
        """float32 [count, 1, length]"""
        starts = self._random.integers(0, len(self._speech) - length, count)
        decibels = self._random.uniform(QUIETEST_DB, LOUDEST_DB, count)
        pieces = np.stack([self._speech[at : at + length] for at in starts]) / 32768
        levelled = pieces * 10 ** (decibels[:, None] / 20)
        return torch.from_numpy(levelled.astype(np.float32))[:, None].clamp(-1, 1)

    def codebooks(self) -> int:
        """How many codebooks this step uses."""
        if self._random.random() < ALL_CODEBOOKS:
            return SIZES.shape.codebooks
        return int(self._random.integers(LEAST_CODEBOOKS, SIZES.shape.codebooks))


class SpectralLoss(torch.nn.Module):
    """L1 distance of log mel spectra and half the relative distance of spectra, at each window."""

    def __init__(self) -> None:
        super().__init__()
        self._windows = {n: torch.hann_window(n) for n in BANDS}
        self._filters = {n: mel_filters(n, bands) for n, bands in BANDS.items()}

    def forward(self, made: Tensor, wanted: Tensor) -> Tensor:
        """[B, samples] of each → their distance."""
        return torch.stack([self._at(n, made, wanted) for n in BANDS]).sum()

    def _at(self, n: int, made: Tensor, wanted: Tensor) -> Tensor:
        a, b = self._spectrum(made, n), self._spectrum(wanted, n)
        filters = self._filters[n]
        logs = [torch.log(filters @ one + LOG_FLOOR) for one in (a, b)]
        return F.l1_loss(*logs) + 0.5 * (a - b).norm() / (b.norm() + 1e-3)

    def _spectrum(self, wave: Tensor, n: int) -> Tensor:
        window = self._windows[n]
        return torch.stft(wave, n, n // 4, window=window, return_complex=True).abs()


def mel_filters(n_fft: int, bands: int) -> Tensor:
    """Triangles of height 1 up to half the rate, [bands, bins]."""
    highest = 2595 * math.log10(1 + RATE / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, highest, bands + 2) / 2595) - 1)
    bins = torch.linspace(0, RATE / 2, n_fft // 2 + 1)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    return torch.minimum(rising, falling).clamp(min=0)


class Training:
    """A network, its codebooks and its optimizer."""

    def __init__(self, crops: Crops) -> None:
        torch.random.manual_seed(SEED)
        self.network = S1Network(SIZES)
        initialise(self.network)
        self._crops, self._loss = crops, SpectralLoss()
        self._codebooks: Codebooks | None = None
        weights = [w for name, w in self.network.named_parameters() if "codebook" not in name]
        self._optimizer = torch.optim.AdamW(weights, betas=(0.8, 0.99), weight_decay=0.01)

    def take_step(self, step: int, spent: float) -> float:
        """One update; `spent` is the share of the time that is over. Returns the loss."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(step, spent)
        wave = self._crops.draw(BATCH_SIZE, CROP)
        latent, commitment = self._encoded(wave, step, is_final=spent >= ENCODER_SHARE)
        made = channels_last(self.network.decoder, latent)
        loss = self._loss(made[:, 0], wave[:, 0])
        self._optimizer.zero_grad()
        (loss + COMMITMENT * commitment).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRAD_NORM)
        self._optimizer.step()
        return float(loss.item())

    def _encoded(self, wave: Tensor, step: int, *, is_final: bool) -> tuple[Tensor, Tensor]:
        """What the decoder gets, and the commitment loss."""
        if is_final:
            with torch.no_grad():
                codes = self.network.encode(wave)
                kept = kept_values(self.network.quantizer, codes)
            return kept, torch.zeros(())
        latent = channels_last(self.network.encoder, wave)
        if step < UNQUANTISED_STEPS:
            return latent, torch.zeros(())
        if self._codebooks is None:
            self._codebooks = self._place_codebooks()
        return self._codebooks(latent, self._crops.codebooks())

    @torch.no_grad()
    def _place_codebooks(self) -> Codebooks:
        wave = self._crops.draw(PLACING_CROPS, 4 * CROP)
        return Codebooks(self.network.quantizer, self.network.encoder(wave))


def kept_values(quantizer: Quantizer, codes: Tensor) -> Tensor:
    """What the kept codebooks make of codes [B, codebooks, frames]: [B, latent, frames]."""
    first = quantizer.semantic_quantizer.values(codes[:, :1])
    others = [book for book in quantizer.quantizer.quantizers if isinstance(book, Quantiser)]
    kept = others[: KEPT_CODEBOOKS - 1]
    return first + sum(book.value(codes[:, row]) for row, book in enumerate(kept, 1))


def is_kept(name: str) -> bool:
    """Whether a weight is outside the codebooks that are left out."""
    parts = name.removeprefix(RESIDUAL).split(".")
    return not name.startswith(RESIDUAL) or int(parts[0]) < KEPT_CODEBOOKS - 1


def learning_rate(step: int, spent: float) -> float:
    """Falls to nothing along a cosine, once with the encoder and once without it."""
    if spent < ENCODER_SHARE:
        highest, part = LEARNING_RATE, spent / ENCODER_SHARE
    else:
        highest, part = LATER_LEARNING_RATE, (spent - ENCODER_SHARE) / (1 - ENCODER_SHARE)
    warm = min(1.0, (step + 1) / WARMUP_STEPS)
    return highest * warm * (0.5 * (1 + math.cos(math.pi * min(1.0, part))) + 0.01)


def save(network: S1Network, folder: Path) -> None:
    """The kept weights in float16, and the number that they do not show."""
    half = {name: w.half() for name, w in network.state_dict().items() if is_kept(name)}
    temporary = folder / "codec.pth.tmp"
    torch.save(half, temporary)
    temporary.replace(folder / "codec.pth")
    settings = json.dumps({"sample_rate": RATE}, indent=1) + "\n"
    (folder / "codec_config.json").write_text(settings)


def main() -> None:
    """Trains for a time, since what fits into it depends on the machine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recordings", type=Path, help="what make_recordings.py --codec wrote")
    parser.add_argument("--to", type=Path, default=HERE / "sound" / "base_model", metavar="DIR")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    options = parser.parse_args()
    folder: Path = options.to
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(THREADS)
    training = Training(Crops(read_speech(options.recordings)))
    started, spent = time.monotonic(), 0.0
    losses: list[float] = []
    while spent < 1:
        losses.append(training.take_step(len(losses), spent))
        spent = (time.monotonic() - started) / (60 * options.minutes)
        if len(losses) % SAVE_EVERY == 0:
            save(training.network, folder)
            loss = np.mean(losses[-SAVE_EVERY:])
            print(f"step {len(losses)}: loss {loss:.3f}, {spent:.0%}", file=sys.stderr, flush=True)
    save(training.network, folder)


if __name__ == "__main__":
    main()
