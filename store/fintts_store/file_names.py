"""The allowed names of files in a checkpoint or an input of a run: a closed list.

Write access to the store must not allow placing files beside your code: Python would import a
checkpoint's torch.py from the folder that it is pulled into. Reading a record and describing a
folder refuse every other name, so no such file is uploaded or downloaded.
"""

import re
from collections.abc import Iterable

ADAPTER = frozenset({"adapter_config.json", "adapter_model.safetensors"})
CHECKPOINT = ADAPTER | {"optimizer.safetensors", "trainer_state.json"}
DOCUMENTS = frozenset({"README.md", "LICENSE", "LICENSE.md", "LICENSE.txt", "NOTICE"})
BASE_MODEL = DOCUMENTS | {
    *("config.json", "model.pth"),
    *("tokenizer.json", "tokenizer.tiktoken", "special_tokens.json"),
}
"""in addition to weights, whose names the base model chooses"""
CODEC = frozenset(
    {"codec.pth", "firefly-gan-vq-fsq-8x1024-21hz-generator.pth", "codec_config.json"}
)
"""of a codec that has files of its own"""
SPEAKER_ENCODER, DNSMOS = "pretrained.pt", "sig_bak_ovr.onnx"
EVAL_MODEL = frozenset(
    {
        *(SPEAKER_ENCODER, DNSMOS),
        *("config.json", "generation_config.json"),
        *("preprocessor_config.json", "processor_config.json"),
        *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
        *("added_tokens.json", "vocab.json", "merges.txt", "normalizer.json"),
    }
)
"""of a model that measures samples, in addition to the weights of a speech recogniser"""
RECORDINGS_PART = re.compile(r"(\d{5})-([0-9a-f]{64})\.zip")
"""number and SHA-256 of a part of recordings, or of its codes"""
LONGEST_NAME = 128
"""characters; file systems hold 255 bytes"""
_WEIGHTS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\.safetensors(\.index\.json)?")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
"""Windows treats these as devices, with any suffix"""


def is_weights_name(name: str) -> bool:
    """Whether a file of weights, or an index of them, may have this name."""
    stem = name.partition(".")[0]
    return (
        len(name) <= LONGEST_NAME
        and _WEIGHTS.fullmatch(name) is not None
        and _DEVICE.fullmatch(stem) is None
    )


def odd_in_checkpoint(names: Iterable[str]) -> list[str]:
    """The names that are not allowed in a checkpoint."""
    return [name for name in names if name not in CHECKPOINT]


def odd_in_adapter(names: Iterable[str]) -> list[str]:
    """The names that are not allowed in an adapter that a run starts from."""
    return [name for name in names if name not in ADAPTER]


def odd_in_codec(names: Iterable[str]) -> list[str]:
    """The names that are not allowed in a codec."""
    return [name for name in names if name not in CODEC]


def odd_in_eval_model(names: Iterable[str]) -> list[str]:
    """The names that are not allowed in a model that measures samples."""
    return [name for name in names if name not in EVAL_MODEL and not is_weights_name(name)]


def odd_in_recordings(names: Iterable[str]) -> list[str]:
    """The names that are not allowed among the parts of recordings."""
    return [name for name in names if RECORDINGS_PART.fullmatch(name) is None]


def odd_in_base_model(names: Iterable[str]) -> list[str]:
    """The names that are not allowed in a base model, and those that differ from another only in
    case: on some file systems they are the same file."""
    odd: list[str] = []
    seen: set[str] = set()
    for name in names:
        is_known = name in BASE_MODEL or is_weights_name(name)
        if not is_known or name.lower() in seen:
            odd.append(name)
        seen.add(name.lower())
    return odd
