"""`import-lora` converts a LoRA of Fish Speech's trainer to PEFT's files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.config import LoraConfig
from fintts_trainer.export import import_lora, print_outcome

if TYPE_CHECKING:
    from argparse import Namespace


def run(options: Namespace) -> int:
    """Converts `--checkpoint`, made for `--base`, and writes it to `--to`; returns 0 or 1."""
    config = LoraConfig.model_validate_json(options.lora)
    return print_outcome(lambda: import_lora(options.base, options.checkpoint, config, options.to))
