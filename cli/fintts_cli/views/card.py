"""The README.md of what is exported: a model card as Hugging Face and PEFT read it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fintts_cli.views.units import value

if TYPE_CHECKING:
    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.runs.records import BaseModelRef, RunRecord
    from fintts_trainer.licence import Licence

ADAPTER = "A LoRA adapter for text to speech, as PEFT saves and opens it."
MERGED = "A base model for text to speech with a LoRA adapter merged into its weights."

OPEN_ADAPTER = """\
```python
from pathlib import Path

import torch
from peft import PeftModel

from fintts_trainer.families import open_base

base_model = open_base(Path("{base_model}")).load(torch.float32)
model = PeftModel.from_pretrained(base_model, ".")
```"""
OPEN_MERGED = (
    "Fish Speech loads this folder in place of the base model's. The codec is not trained: take "
    "the one that came with the base model."
)


def adapter_card(record: RunRecord, manifest: Manifest, licence: Licence) -> str:
    """Of a folder that PEFT opens."""
    base_model = record.base_model
    head = _head(base_model, licence, library_name="peft", tags=["lora", "text-to-speech"])
    use = OPEN_ADAPTER.format(base_model=base_model.name)
    return _card(f"{head}\n\n{_facts(record, manifest, ADAPTER)}", licence, use)


def merged_card(record: RunRecord, manifest: Manifest, licence: Licence) -> str:
    """Of a folder that Fish Speech opens."""
    head = _head(
        record.base_model, licence, base_model_relation="finetune", tags=["text-to-speech"]
    )
    return _card(f"{head}\n\n{_facts(record, manifest, MERGED)}", licence, OPEN_MERGED)


def _head(base_model: BaseModelRef, licence: Licence, **others: object) -> str:
    """Front matter; JSON's strings are YAML's, whatever is in them."""
    keys: dict[str, object] = {"base_model": base_model.name, "license": licence.identifier}
    if licence.name and licence.identifier == "other":
        keys["license_name"] = licence.name
    if licence.link and licence.identifier == "other":
        keys["license_link"] = licence.link
    keys |= {**others, "pipeline_tag": "text-to-speech"}
    lines = [f"{key}: {json.dumps(content, ensure_ascii=False)}" for key, content in keys.items()]
    return "\n".join(["---", *lines, "---"])


def _facts(record: RunRecord, manifest: Manifest, what: str) -> str:
    monitored = "not validated at this step" if manifest.value is None else value(manifest.value)
    return f"""\
# {record.run}, step {manifest.step}

{what}

| | |
|---|---|
| base model | {record.base_model.name} |
| SHA-256 of its files' SHA-256 | `{record.base_model.digest}` |
| run | {record.run} |
| step | {manifest.step:,} |
| {manifest.monitor} | {monitored} |
| trained | {manifest.created_at:%Y-%m-%d}, by fintts {record.fintts_version} |"""


def _card(top: str, licence: Licence, use: str) -> str:
    where = f" It can be read in {licence.link}." if licence.link else ""
    return f"{top}\n\n## Licence\n\n{licence.sentence}{where}\n\n## Use\n\n{use}\n"
