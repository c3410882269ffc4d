"""Every key of PEFT's adapter_config.json, and whether a run can start from an adapter that sets
it.

PEFT has many ways to train an adapter, and saves all of them as two matrices A and B. Here these
mean W + (alpha / rank) B A on the released base model, so each key is either irrelevant to that, or
compared with the run, or refused unless it is off. Keys that are not listed are refused, because
their effect is unknown. The list is from the source of PEFT 0.2 to 0.21.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.errors import BaseModelProblem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COMPARED = {
    "peft_type": "is LORA",
    "r": "is the run's lora.rank",
    "lora_alpha": "is the run's lora.alpha",
    "init_lora_weights": "is one of STARTS",
}
"""Key → its required value."""

NEUTRAL = {
    "task_type": "which of PEFT's wrappers is around the model",
    "auto_mapping": "the class of the model",
    "peft_version": "who wrote the file",
    "base_model_name_or_path": "a name; the digest in the weights says which base model it is",
    "revision": "of that name",
    "inference_mode": "whether PEFT asks for gradients",
    "lora_dropout": "is for training alone; the run has its own",
    "target_modules": "which matrices: the names of the tensors say it",
    "exclude_modules": "which matrices: the names of the tensors say it",
    "layers_to_transform": "which matrices: the names of the tensors say it",
    "layers_pattern": "which matrices: the names of the tensors say it",
    "megatron_core": "a module's name, which megatron_config alone uses",
    "qalora_group_size": "which use_qalora alone uses",
    "loftq_config": "which init_lora_weights: loftq alone uses",
    "eva_config": "which init_lora_weights: eva alone uses",
    "corda_config": "which init_lora_weights: corda alone uses",
    "lora_ga_config": "which init_lora_weights: lora_ga alone uses",
    "runtime_config": "PEFT itself ignores it in a file",
    "merge_weights": "of PEFT 0.2: whether evaluation adds A and B to the base model for a while",
}
"""Key → why its value does not change the meaning of A and B."""

OFF = {
    "fan_in_fan_out": "the base model's matrices are transposed",
    "bias": "biases are trained as well",
    "lora_bias": "B has a bias",
    "use_rslora": "rsLoRA: B A is scaled by alpha / √rank",
    "use_dora": "DoRA: A and B give a direction, and its length is trained separately",
    "use_qalora": "QALoRA: A reads means of several inputs",
    "use_bdlora": "BD-LoRA: A or B is a block-diagonal matrix",
    "rank_pattern": "some matrices have another rank",
    "alpha_pattern": "some matrices have another alpha",
    "modules_to_save": "whole modules are trained as well",
    "trainable_token_indices": "rows of the embeddings are trained as well",
    "target_parameters": "parameters that belong to no module are adapted",
    "layer_replication": "the base model repeats some of its layers",
    "megatron_config": "Megatron splits the matrices among GPUs",
    "velora_config": "VeLoRA: A learns from compressed inputs",
    "alora_invocation_tokens": "aLoRA: A and B are active only after certain tokens",
    "arrow_config": "Arrow: several adapters take turns, token by token",
    "monteclora_config": "MonteCLoRA: A is sampled in each pass",
    "kasa_config": "KaSA: the base model has lost its smallest singular values",
    "ensure_weight_tying": "tied modules share one adapter",
    "enable_lora": "in PEFT 0.2: only parts of a fused matrix are adapted",
}
"""Key → its meaning when it is on. Off means null, false, empty, or `none` for bias."""

STARTS = {
    "true": "B is 0",
    "false": "A and B are random",
    "gaussian": "B is 0",
    "orthogonal": "A and B are random, and B A is 0",
    "eva": "B is 0; ranks that it gave away are in rank_pattern",
    "mica": "A is 0",
}
"""Value of init_lora_weights → the initial A and B; the base model is unchanged."""

OTHER_STARTS = {
    "pissa": "PiSSA",
    "olora": "OLoRA",
    "corda": "CorDA",
    "lora_ga": "LoRA-GA",
    "loftq": "LoftQ",
}
"""Prefix of a value → the method, which moved a part of the base model's weights into A and B."""

PLAIN = "give an adapter that was trained as plain LoRA"
CONVERT = (
    "have PEFT convert it where it was trained: save_pretrained(DIR, "
    "path_initial_model_for_weight_conversion=START) writes plain LoRA of twice the rank"
)


def refuse_other_meaning(folder: Path, content: Mapping[str, object]) -> None:
    """Raises BaseModelProblem unless an adapter is plain LoRA on the released base model.

    Args:
        folder: the adapter's, for people.
        content: of its adapter_config.json.
    """
    for key, value in sorted(content.items()):
        if key in OFF and value and not (key == "bias" and value == "none"):
            raise BaseModelProblem(
                f"the adapter in {folder} is not plain LoRA: it sets {key} ({OFF[key]})", PLAIN
            )
        if key not in {**OFF, **NEUTRAL, **COMPARED}:
            raise BaseModelProblem(
                f"adapter_config.json in {folder} has a key unknown to this version of fintts: "
                f"{key!r:.60}, which may change what the adapter means",
                f"if the key has its default value, remove it from the file; otherwise {PLAIN}",
            )
    _refuse_other_start(folder, content.get("init_lora_weights", True))


def _refuse_other_start(folder: Path, value: object) -> None:
    start = str(value or False).lower()
    if start in STARTS:
        return
    method = next((name for of, name in OTHER_STARTS.items() if start.startswith(of)), None)
    if method is None:
        raise BaseModelProblem(
            f"the adapter in {folder} has an initialisation unknown to this version of fintts: "
            f"init_lora_weights is {value!r:.60}",
            PLAIN,
        )
    raise BaseModelProblem(
        f"the adapter in {folder} was initialised with {method} (init_lora_weights: "
        f"{value!r:.60}): it belongs to a base model with changed weights, not to the released "
        "one",
        PLAIN if method == "LoftQ" else CONVERT,
    )
