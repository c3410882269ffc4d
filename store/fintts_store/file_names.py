"""The names that a file of a checkpoint, an adapter or a base model may have: a closed list.

Who can write to the store must not decide what lies beside somebody's code: a checkpoint with a
file named torch.py would be imported from the folder that it is pulled into. Every other name is
refused when a record is read and when a folder is described, so nothing with it goes up or comes
down.
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
"""beside weights, whose names the base model chooses"""
LONGEST_NAME = 128
"""characters; file systems hold 255 bytes"""
_WEIGHTS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\.safetensors(\.index\.json)?")
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)", re.IGNORECASE)
"""Windows writes to these, whatever comes behind a dot"""


def is_weights_name(name: str) -> bool:
    """Whether a file of weights, or the index of several, may be called so."""
    stem = name.partition(".")[0]
    return (
        len(name) <= LONGEST_NAME
        and _WEIGHTS.fullmatch(name) is not None
        and _DEVICE.fullmatch(stem) is None
    )


def odd_in_checkpoint(names: Iterable[str]) -> list[str]:
    """Those that no file of a checkpoint has."""
    return [name for name in names if name not in CHECKPOINT]


def odd_in_adapter(names: Iterable[str]) -> list[str]:
    """Those that no file of an adapter has which a run begins with."""
    return [name for name in names if name not in ADAPTER]


def odd_in_base_model(names: Iterable[str]) -> list[str]:
    """Those that no file of a base model has, and those that differ from another in case alone:
    on some file systems they are the same file."""
    odd: list[str] = []
    seen: set[str] = set()
    for name in names:
        is_known = name in BASE_MODEL or is_weights_name(name)
        if not is_known or name.lower() in seen:
            odd.append(name)
        seen.add(name.lower())
    return odd
