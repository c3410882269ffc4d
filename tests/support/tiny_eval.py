"""Models that measure samples: tiny speech recognisers with random weights, and released ones."""

from __future__ import annotations

import json
import string
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import transformers

slow: Any = import_module("transformers.convert_slow_tokenizer")
hf: Any = transformers  # which types little of this
RELEASED = Path(__file__).parents[2] / ".test-servers" / "eval-models"
ENCODER = RELEASED / "resemblyzer" / "pretrained.pt"
DNSMOS = RELEASED / "speechmos" / "dnsmos_models" / "sig_bak_ovr.onnx"
"""tests/install_eval_models.sh brings them"""
PIECES = ("<|endoftext|>", "<|startoftranscript|>", "<|fi|>", "<|transcribe|>", "<|notimestamps|>")


def write_ctc(folder: Path, seed: int = 1) -> Path:
    """A Wav2Vec2 with CTC over Finnish letters."""
    folder.mkdir(parents=True)
    letters = ["[PAD]", "[UNK]", "|", *string.ascii_lowercase, "å", "ä", "ö"]
    (folder / "vocab.json").write_text(json.dumps({one: n for n, one in enumerate(letters)}))
    tokenizer = hf.Wav2Vec2CTCTokenizer(
        str(folder / "vocab.json"),
        unk_token="[UNK]",
        pad_token="[PAD]",
        word_delimiter_token="|",
        bos_token=None,
        eos_token=None,
    )
    hf.Wav2Vec2Processor(hf.Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(folder)
    torch.manual_seed(seed)
    config = hf.Wav2Vec2Config(
        vocab_size=len(letters),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(8, 8),
        conv_stride=(20, 16),
        conv_kernel=(40, 16),
        num_feat_extract_layers=2,
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        initializer_range=1.0,
    )
    hf.Wav2Vec2ForCTC(config).save_pretrained(folder)
    return folder


def write_whisper(folder: Path) -> Path:
    """A Whisper that knows Finnish alone, with the 256 bytes as its vocabulary."""
    folder.mkdir(parents=True)
    known = [*slow.bytes_to_unicode().values(), *PIECES]
    numbers = {piece: number for number, piece in enumerate(known)}
    (folder / "vocab.json").write_text(json.dumps(numbers))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = hf.WhisperTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    hf.WhisperProcessor(hf.WhisperFeatureExtractor(), tokenizer).save_pretrained(folder)
    end, start, finnish, transcribe, without = (numbers[piece] for piece in PIECES)
    torch.manual_seed(1)
    model = hf.WhisperForConditionalGeneration(
        hf.WhisperConfig(
            vocab_size=len(known),
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
            max_target_positions=32,
            init_std=1.0,
            pad_token_id=end,
            bos_token_id=end,
            eos_token_id=end,
            decoder_start_token_id=start,
        )
    )
    model.generation_config = hf.GenerationConfig(
        lang_to_id={"<|fi|>": finnish},
        task_to_id={"transcribe": transcribe},
        no_timestamps_token_id=without,
        is_multilingual=True,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=start,
        max_length=32,
        do_sample=True,  # which a recogniser that is to be repeatable must not do
        top_k=5,
    )
    model.save_pretrained(folder)
    return folder
