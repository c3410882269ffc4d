"""Opens the best of the pulled checkpoints with PEFT alone, and compares it with the base model.

    python open_adapter.py CHECKPOINTS CODES

Prints the loss on the held-out utterances without and with the adapter; exits with 1 unless the
adapter is clearly better.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from peft import PeftModel

from fintts_inputs.data.files import read_codes, read_text
from fintts_inputs.data.holdout import is_held_out
from fintts_inputs.data.pairs import find_pairs
from fintts_trainer.data.batches import in_batches
from fintts_trainer.families import open_base
from fintts_trainer.loop.evaluate import evaluate

BASE_MODEL = Path(__file__).parent / "sound" / "base_model"
FRACTION = 0.1
CLEAR_MARGIN = 0.1
"""nats"""


def best_of(folder: Path) -> Path:
    """The checkpoint whose own state calls it the best step."""
    states = sorted(folder.glob("checkpoint-*/trainer_state.json"))
    newest = max((json.loads(path.read_text()) for path in states), key=lambda s: int(s["step"]))
    return folder / f"checkpoint-{newest['loop']['early_stopping']['best_step']}"


def main(folder: Path, data: Path) -> int:
    """Returns 0 if the adapter beats the base model by the margin."""
    base = open_base(BASE_MODEL)
    pairs = [files for name, files in find_pairs(data).items() if is_held_out(name, FRACTION)]
    examples = [
        base.encode(read_text(files.text).text, read_codes(files.codes)[0]) for files in pairs
    ]
    device, model = torch.device("cpu"), base.load(torch.float32)
    before = evaluate(model, in_batches(examples, 8), device).means()
    best = best_of(folder)
    adapted = PeftModel.from_pretrained(model, str(best))
    after = evaluate(adapted, in_batches(examples, 8), device).means()
    print(f"{'':24}{'base model':>12}{best.name:>18}")
    for name in ("loss", "token_loss", "code_loss", "top5_accuracy"):
        print(f"{name:24}{before[name]:12.4f}{after[name]:18.4f}")
    return 0 if after["loss"] < before["loss"] - CLEAR_MARGIN else 1


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
