"""The README.md of an export: a model card that Hugging Face and PEFT can read."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from fintts_cli.views.units import value
from fintts_inputs.base_model.adapter import OLDEST_PEFT
from fintts_inputs.base_model.families import prompts
from fintts_inputs.base_model.fish.prompts import FISH_JOINED

if TYPE_CHECKING:
    from fintts_inputs.base_model.licence import Licence
    from fintts_store.checkpoints.manifest import Manifest
    from fintts_store.runs.run_record import BaseModelRef, RunRecord

ADAPTER = f"A LoRA adapter for text to speech; opens with PEFT {OLDEST_PEFT} or later."
MERGED = "A base model for text to speech with a LoRA adapter merged into its weights."

OPEN_MERGED = (
    "Fish Speech loads this folder in place of the base model's. The codec is not trained: use "
    "the one that came with the base model."
)


def adapter_card(record: RunRecord, manifest: Manifest, licence: Licence) -> str:
    """The card of a folder that PEFT opens."""
    base_model = record.base_model
    head = _head(base_model, licence, library_name="peft", tags=["lora", "text-to-speech"])
    code = "\n".join(opening_lines(record, "."))
    use = f"In this folder, where fintts is installed:\n\n```python\n{code}\n```"
    return _card(f"{head}\n\n{_facts(record, manifest, ADAPTER)}", licence, use)


def opening_lines(record: RunRecord, adapter: str, base_folder: str | None = None) -> list[str]:
    """Python code that opens an adapter's folder on its base model.

    All values in it are literals, because the record may come from someone else.

    Args:
        base_folder: the base model's folder; None if it comes from Hugging Face, or if each reader
            has to fill it in.
    """
    base_model = record.base_model
    imports = ["import torch", "from peft import PeftModel"]
    if base_model.revision is not None:
        imports.append("from huggingface_hub import snapshot_download")
        name, revision = _literal(base_model.name), _literal(base_model.revision)
        where = f"snapshot_download({name}, revision={revision})"
    elif base_folder is not None:
        where = _literal(base_folder)
    else:
        where = f"{_literal(base_model.name)}  # the folder of your copy"
    return [
        "from pathlib import Path",
        *imports,
        "from fintts_trainer.families import open_base",
        f"base_folder = {where}",
        "base_model = open_base(Path(base_folder)).load(torch.float32)",
        f"model = PeftModel.from_pretrained(base_model, {_literal(adapter)})",
    ]


def _literal(text: str) -> str:
    """A Python literal in which no Markdown fence can end."""
    return ascii(text).replace("`", r"\x60")


def merged_card(record: RunRecord, manifest: Manifest, licence: Licence) -> str:
    """The card of a folder that Fish Speech opens."""
    head = _head(
        record.base_model, licence, base_model_relation="finetune", tags=["text-to-speech"]
    )
    return _card(f"{head}\n\n{_facts(record, manifest, MERGED)}", licence, OPEN_MERGED)


def _head(base_model: BaseModelRef, licence: Licence, **others: object) -> str:
    """The front matter; a JSON string is a YAML string, whatever it holds."""
    keys: dict[str, object] = {"base_model": base_model.name, "license": licence.identifier}
    if licence.name and licence.identifier == "other":
        keys["license_name"] = licence.name
    if licence.link and licence.identifier == "other":
        keys["license_link"] = licence.link
    keys |= {**others, "pipeline_tag": "text-to-speech"}
    lines = [f"{key}: {_quoted(content)}" for key, content in keys.items()]
    return "\n".join(["---", *lines, "---"])


def _quoted(content: object) -> str:
    r"""JSON in printable ASCII, which is also YAML: \U replaces JSON's pairs of \u."""
    text = json.dumps(content, ensure_ascii=False)
    return re.sub(r"[^ -~]", lambda match: f"\\U{ord(match[0]):08x}", text)


def _plain(text: str) -> str:
    """Any text, made safe to stand within a line of Markdown."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return re.sub(r"[\\`*_\[\]<>|#]", lambda match: f"&#{ord(match[0])};", shown)


def _facts(record: RunRecord, manifest: Manifest, what: str) -> str:
    monitored = "not validated at this step" if manifest.value is None else value(manifest.value)
    return f"""\
# {_plain(record.run)}, step {manifest.step}

{what}

| | |
|---|---|
| base model | {_plain(record.base_model.name)} |
| SHA-256 of its files' SHA-256 | {_plain(record.base_model.digest)} |
| prompt | {_plain(_prompt(record.prompt))} |
| run | {_plain(record.run)} |
| step | {manifest.step:,} |
| {_plain(manifest.monitor)} | {monitored} |
| trained | {manifest.created_at:%Y-%m-%d}, by fintts {_plain(record.fintts_version)} |"""


def _prompt(recorded: str | None) -> str:
    """The prompt with which the adapter was trained, and with which it has to be used."""
    if recorded is None:
        return f"not recorded; a Fish Speech model had {FISH_JOINED.layout}"
    known = prompts().get(recorded)
    return recorded if known is None else f"{recorded}: {known.layout}"


def _card(top: str, licence: Licence, use: str) -> str:
    where = f" Read it at {_plain(licence.link)}." if licence.link else ""
    return f"{top}\n\n## Licence\n\n{_plain(licence.sentence)}{where}\n\n## Use\n\n{use}\n"
