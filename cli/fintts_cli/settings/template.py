"""The commented fintts.yaml that `fintts init` writes: every key with its default and its unit."""

from __future__ import annotations

import json
import re

_WORDS = ("no", "off", "yes", "on", "true", "false", "null", "y", "n")
"""texts that YAML reads as something else"""

_TEXT = """\
# What fintts trains, where, and at what cost. This file lists every key with its default.
# Precedence: option > FINTTS_* variable (FINTTS_TRAINING__BATCH_SIZE) > this file >
# your user file > default. Relative paths start at this file's folder.

# Utterances: NAME.npy (codes, [codebooks, frames]) next to NAME.lab (the text).
data: {data}
# A Fish Speech model: a folder (config.json, weights, tokenizer), or a Hugging Face id such as
# fishaudio/openaudio-s1-mini, which fintts downloads to this machine when a run starts.
base_model: {base_model}
# The adapter to start from: a folder with PEFT's files, as `fintts cloud pull-checkpoints` writes
# it, or a .ckpt from Fish Speech's own LoRA trainer; `lora` must match what it was trained with.
# initial_adapter: checkpoints/checkpoint-2800

# The adapter: y = W x + (alpha / rank) B A x
lora:
  rank: 8
  alpha: 16.0
  dropout: 0.0                # probability
  targets: [attention, mlp, embeddings, heads]

# A step is one optimizer update of batch_size x gradient_accumulation utterances.
training:
  batch_size: 8               # utterances
  gradient_accumulation: 1    # micro-batches a step
#   tokens_per_micro_batch: 16384  # padding included; splits the same step to fit in memory
  bucketing: true             # a step reads utterances of similar length: less padding
  max_steps: 3000             # steps
  learning_rate: 0.0001
  warmup_steps: 10            # steps
  max_grad_norm: 1.0
  seed: 42
  precision: auto             # auto | fp32 | bf16, for the frozen base; the adapter is fp32
  gradient_checkpointing: false    # true needs less memory and more time
  compile: auto               # auto (on a GPU) | true | false; a minute, then faster steps

# Utterances held out by a hash of their name; they are never trained on.
validation:
  every: 100                  # steps
  fraction: 0.1               # of the utterances

# Ends the run after `patience` validation checks in a row without improvement.
early_stopping:
  enabled: true
  monitor: val/loss           # val/loss | train/loss | val/top5_accuracy, or one of `eval`
  mode: min                   # max for val/top5_accuracy, eval/similarity and eval/dnsmos
  patience: 5                 # checks, not steps
  min_delta: 0.0              # an improvement must be larger than this

checkpoints:
  every: 100                  # steps
  keep_last: 5
  keep_best: true             # in addition to the last ones

# What the run speaks while it trains, by the base model and after checks, for
# `fintts cloud listen`. The codec must be in the base model's folder.
samples:
#   texts: ["Hyvää huomenta."]    # sentences to say
  held_out: 0                 # utterances not trained on, beside their recordings; 0: none
  every: 1                    # validation checks
  max_seconds: 15.0           # a sample without an end is cut
  seconds_a_check: 30.0       # at most, for all samples of a check; the estimate counts this
  seed: 0

# What is measured on the samples, each with a model that you name. `early_stopping.monitor` may be
# any of them; it then needs samples.every: 1.
eval:
#   asr: openai/whisper-small    # a folder, or an id on Hugging Face: eval/cer
  language: fi                # of the sentences, as Whisper names it
#   speaker_encoder: eval-models/resemblyzer/pretrained.pt    # eval/similarity
#   dnsmos: eval-models/speechmos/dnsmos_models/sig_bak_ovr.onnx    # eval/dnsmos

# After 20 measured steps the run forecasts whether its deadline comes too soon, and says so.
replan:
  min_checks: 3               # validation checks: a run that ends with fewer is of no use
  on_overrun: continue        # continue | stop, which keeps the checkpoint

# Where the run goes and what it may cost. This part stays on your machine.
gpus: {gpus:<24}# NAME[:N], any or 24GB+; from several, the cheapest for the run
{infra}
spot: false
# image: docker:me/trainer:1  # of a rented instance, as SkyPilot's image_id; the trainer's
#                             # packages that it holds are not installed again
# name: finnish-1             # [a-z0-9-]{{1,40}}; default: generated
# store: s3://bucket/prefix   # or a folder; for data, runs, checkpoints; default: your own folder
# single_writer: true         # accepts a store that cannot block a second writer: only you write
# s3_endpoint_url: https://host    # for an s3:// store that is not AWS: R2, MinIO, Ceph
# instance_role_arn: arn:aws:iam::123456789012:role/fintts    # makes the instance's key for a run
#                             # where your key cannot (SSO, a role); must have access to the store
# launch_patience_seconds: 1200    # an instance that is not ready by then is taken back
# notify: https://hooks.example.com/T0/B1    # one URL or a list: what happens to the run is
#                             # posted there as JSON; a URL is a secret, so use FINTTS_NOTIFY if
#                             # others read this file
# trackers: [wandb]           # wandb, trackio: the run's curves also go there; each finds its
#                             # server and key in its own variables, such as WANDB_API_KEY
# budget_usd: 10.00           # USD; fintts refuses a run that is expected to cost more
# hourly_rate_usd: 1.20       # USD an hour for the instance; default: the cheapest offer

# Figures that you know better than the forecast. fintts measures or computes a missing one.
forecast:
#   seconds_per_step: 5.4
#   seconds_per_validation: 30.0
#   setup_seconds: 600.0      # from asking for the instance to the first step
#   teardown_seconds: 110.0   # from the last step to the end of billing
#   checkpoint_bytes: 47000000
#   stop_step: 2800           # where you expect it to stop; default: training.max_steps
"""


def render_project_file(
    data: str, base_model: str, infra: str | None = None, gpus: str = "A100-80GB:1"
) -> str:
    """The text of the file.

    Args:
        data: the folder, as the file should name it; `base_model` likewise.
        infra: as in `--infra`; None leaves the choice to SkyPilot.
    """
    return _TEXT.format(
        data=_quoted(data), base_model=_quoted(base_model), gpus=gpus, infra=_infra_line(infra)
    )


def _infra_line(infra: str | None) -> str:
    key = "# infra: aws" if infra is None else f"infra: {_plain(infra)}"
    return f"{key:<30}# local: this machine; or CLOUD[/REGION[/ZONE]]; default: the cheapest"


def _plain(text: str) -> str:
    """The text, with quotes only if YAML needs them."""
    return text if re.fullmatch(r"[a-z][a-z0-9/-]*", text) and text not in _WORDS else _quoted(text)


def _quoted(text: str) -> str:
    """A YAML scalar that always stays a string: a folder may be named `no`."""
    return json.dumps(text, ensure_ascii=False)
