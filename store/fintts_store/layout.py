"""The keys of a store, and the inverse: what a key names.

    datasets/<sha256>.safetensors             packed data, written once
    base_models/<digest>/<file>               a base model's folder, written once
    adapters/<digest>/<file>                  an initial adapter of runs, written once
    codecs/<digest>/<file>                    the codec of runs that speak or encode, written once
    eval_models/<digest>/<file>               a model that measures samples, written once
    recordings/<digest>/<part>-<sha256>.zip   recordings to encode, written once; the digest is of
                                              the sound
    recordings/<digest>/<sha256>.json         their names and texts
    encoded/<digest>/<part>-<sha256>.zip      the codes of a part, written by an instance; the
                                              digest is of sound, codec and recipe
    encoded/<digest>/<sha256>.safetensors     the data set made of them
    encoded/<digest>/<texts>.json    512 KiB  which of these belongs to these texts: the commit
    runs/<run>/run.json                  512 KiB  what was requested; never changed
    runs/<run>/revisions/<number>.json   512 KiB  a changed configuration; the highest counts
    runs/<run>/status.json               512 KiB  heartbeat; overwritten
    runs/<run>/stop.json                 512 KiB  the request to stop
    runs/<run>/metrics/<claim>-<part>.jsonl  4 MiB  append-only parts; all of them 32 MiB
    runs/<run>/samples/<claim>/samples.json 512 KiB  which sentences this job speaks
    runs/<run>/samples/<claim>/<who>-<number>.wav  32 MiB  a sentence, numbered from 1, by `base`,
                                              `original` or `step-<step>`
    runs/<run>/tensorboard/<claim>/<file>     event files, uploaded at the end
    runs/<run>/claims/<claim>            512 KiB  the right to write the run
    runs/<run>/ledger/<launch>/asked.json  512 KiB  who requested an instance, on which terms;
                                              takes the launch number before anything is rented
    runs/<run>/ledger/<launch>/<kind>-<moment>-<id>.json  512 KiB  when it was seen up, or gone
    runs/<run>/checkpoints/<claim>-<step>-<id>/<file>
    runs/<run>/commits/<claim>-<step>-<id>.json  512 KiB  the manifest: it is the commit
    runs/<run>/commits/<claim>-<step>-<id>.pin    protects that checkpoint from rotation
    runs/<run>/result.json               512 KiB  how the run ended; written last, once
    runs/<run>/logs/<moment>.txt           4 MiB  the log of an instance; written at its end
    runs/<run>/traceback.txt                  of a bug in the program; overwritten
    runs/<run>/trial.txt                      tests an instance's key; removed before the launch
    probes/<moment>-<id>/…                    of `fintts store check`, while it runs
    promise.json                         512 KiB  the tested result: whether one of several
                                              concurrent writers succeeds

The sizes limit what is read into memory (`runs/limits.py` also limits numbers, dates and texts): a
larger record counts as damaged, and only the end of a larger log is shown. The manifest or run.json
states the sizes of checkpoints and inputs. Every record names its run, and counts as damaged under
another one.

Numbers are padded with zeros, so that keys sort like their numbers.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from fintts_store.errors import InvalidKey, InvalidRunName
from fintts_store.file_names import RECORDINGS_PART

DATASETS, BASE_MODELS, ADAPTERS = "datasets/", "base_models/", "adapters/"
CODECS, EVAL_MODELS = "codecs/", "eval_models/"
RECORDINGS, ENCODED = "recordings/", "encoded/"
INPUTS = (DATASETS, BASE_MODELS, ADAPTERS, CODECS, EVAL_MODELS, RECORDINGS, ENCODED)
"""prefixes of the inputs of runs"""
RUNS = "runs/"
PROBES = "probes/"
PROMISE = "promise.json"
PIN = ".pin"
_RUN = re.compile(r"[a-z0-9-]{1,40}")
_REVISION = re.compile(r"(\d{6})\.json")
_ASKED = re.compile(r"(\d{6})/asked\.json")
_SEEN = re.compile(r"(\d{6})/(up|gone)-(\d{8}T\d{6}\.\d{6}Z)-[0-9a-f]{8}\.json")
_MOMENT = "%Y%m%dT%H%M%S.%fZ"
_COMMIT = re.compile(r"(\d{6})-(\d{9})-([0-9a-f]{8})\.json")


def is_run_name(text: str) -> bool:
    """Whether this is a valid name of a run."""
    return _RUN.fullmatch(text) is not None


def check_run_name(run: str) -> str:
    """Returns the name, or raises InvalidRunName."""
    if not is_run_name(run):
        raise InvalidRunName(
            f"{run!r} is not a run's name",
            "use 1 to 40 of the characters a to z, 0 to 9 and -",
        )
    return run


def dataset_key(sha256: str) -> str:
    """The key of a packed data set."""
    return f"{DATASETS}{sha256}.safetensors"


def base_model_prefix(digest: str) -> str:
    """The prefix of a base model's files."""
    return f"{BASE_MODELS}{digest}/"


def adapter_prefix(digest: str) -> str:
    """The prefix of an initial adapter's files."""
    return f"{ADAPTERS}{digest}/"


def codec_prefix(digest: str) -> str:
    """The prefix of a codec's files."""
    return f"{CODECS}{digest}/"


def eval_model_prefix(digest: str) -> str:
    """The prefix of the files of a model that measures samples."""
    return f"{EVAL_MODELS}{digest}/"


def recordings_prefix(digest: str) -> str:
    """The prefix of recordings to encode."""
    return f"{RECORDINGS}{digest}/"


def encoded_prefix(digest: str) -> str:
    """The prefix of what was encoded from recordings."""
    return f"{ENCODED}{digest}/"


def part_name(number: int, sha256: str) -> str:
    """The name of one part of recordings, or of its codes."""
    return f"{number:05d}-{sha256}.zip"


def part_of(name: str) -> tuple[int, str] | None:
    """The number and the SHA-256 of a part; None for a foreign file."""
    match = RECORDINGS_PART.fullmatch(name)
    return None if match is None else (int(match[1]), match[2])


def encoded_dataset_key(prefix: str, sha256: str) -> str:
    """The data set that was made from recordings."""
    return f"{prefix}{sha256}.safetensors"


def encoded_commit_key(prefix: str, texts_sha256: str) -> str:
    """The record of the data set that belongs to these texts."""
    return f"{prefix}{texts_sha256}.json"


def input_place(key: str) -> str:
    """The key itself for a data set, or the prefix of the folder of another input."""
    kind, _, rest = key.partition("/")
    folder, slash, _ = rest.partition("/")
    return f"{kind}/{folder}/" if slash else key


def run_prefix(run: str) -> str:
    """The prefix of everything about a run."""
    return f"{RUNS}{check_run_name(run)}/"


def trial_key(run: str) -> str:
    """The file that tests the key of an instance."""
    return f"{run_prefix(run)}trial.txt"


def run_json_key(run: str) -> str:
    """The record of what was requested."""
    return f"{run_prefix(run)}run.json"


def revisions_prefix(run: str) -> str:
    """The prefix of all changes of the configuration."""
    return f"{run_prefix(run)}revisions/"


def revision_key(run: str, number: int) -> str:
    """A change of the configuration; the first has number 1."""
    return f"{revisions_prefix(run)}{number:06d}.json"


def revision_of(run: str, key: str) -> int | None:
    """The number of a revision; None for a foreign file."""
    match = _REVISION.fullmatch(key.removeprefix(revisions_prefix(run)))
    return int(match[1]) if match else None


def run_of(key: str) -> str | None:
    """The run of a key; None for a key outside of runs."""
    name = key.removeprefix(RUNS).partition("/")[0]
    return name if key.startswith(RUNS) and _RUN.fullmatch(name) else None


def status_key(run: str) -> str:
    """The heartbeat."""
    return f"{run_prefix(run)}status.json"


def result_key(run: str) -> str:
    """The record of how the run ended."""
    return f"{run_prefix(run)}result.json"


def stop_request_key(run: str) -> str:
    """The request to stop."""
    return f"{run_prefix(run)}stop.json"


def traceback_key(run: str) -> str:
    """The traceback of a bug, for a report."""
    return f"{run_prefix(run)}traceback.txt"


def logs_prefix(run: str) -> str:
    """The prefix of the instances' logs, in the order of their ends."""
    return f"{run_prefix(run)}logs/"


def log_key(run: str, ended_at: datetime) -> str:
    """The log of one instance."""
    return f"{logs_prefix(run)}{_moment(ended_at)}.txt"


def ledger_prefix(run: str) -> str:
    """The prefix of the ledger, which holds the costs of all launches."""
    return f"{run_prefix(run)}ledger/"


def launch_prefix(run: str, launch: int) -> str:
    """The prefix of a launch in the ledger; the first has number 1."""
    return f"{ledger_prefix(run)}{launch:06d}/"


def asked_key(run: str, launch: int) -> str:
    """The record of the request for an instance."""
    return f"{launch_prefix(run, launch)}asked.json"


def sighting_key(run: str, launch: int, kind: str, at: datetime, writer: str) -> str:
    """The record of a laptop that saw the instance up, or gone.

    Args:
        kind: `up` or `gone`.
        writer: eight hexadecimal digits of the laptop's id.
    """
    return f"{launch_prefix(run, launch)}{kind}-{_moment(at)}-{writer}.json"


def launch_of(run: str, key: str) -> int | None:
    """The launch number of a file in the ledger; None for a foreign file."""
    name = key.removeprefix(ledger_prefix(run))
    match = _ASKED.fullmatch(name) or _SEEN.fullmatch(name)
    return int(match[1]) if match else None


def seen_up_at(run: str, key: str) -> datetime | None:
    """The moment in the name of an `up` file; None for any other file."""
    match = _SEEN.fullmatch(key.removeprefix(ledger_prefix(run)))
    if match is None or match[2] != "up":
        return None
    try:
        return datetime.strptime(match[3], _MOMENT).replace(tzinfo=UTC)
    except ValueError:  # not a date, such as 31 February
        return None


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):{_MOMENT}}"


def metrics_prefix(run: str) -> str:
    """The prefix of all parts of the metrics."""
    return f"{run_prefix(run)}metrics/"


def metrics_key(run: str, claim: int, part: int) -> str:
    """One part of the metrics."""
    return f"{metrics_prefix(run)}{claim:06d}-{part:06d}.jsonl"


def all_samples_prefix(run: str) -> str:
    """The prefix of what all jobs have spoken."""
    return f"{run_prefix(run)}samples/"


def samples_prefix(run: str, claim: int) -> str:
    """The prefix of what one job has spoken."""
    return f"{all_samples_prefix(run)}{claim:06d}/"


def all_tensorboard_prefix(run: str) -> str:
    """The prefix of all of TensorBoard's event files."""
    return f"{run_prefix(run)}tensorboard/"


def tensorboard_prefix(run: str, claim: int) -> str:
    """The prefix of TensorBoard's event files of one job."""
    return f"{all_tensorboard_prefix(run)}{claim:06d}/"


def claims_prefix(run: str) -> str:
    """The prefix of all claims."""
    return f"{run_prefix(run)}claims/"


def claim_key(run: str, claim: int) -> str:
    """One claim."""
    return f"{claims_prefix(run)}{claim:06d}"


def commits_prefix(run: str) -> str:
    """The prefix of all manifests and pins."""
    return f"{run_prefix(run)}commits/"


def checkpoints_prefix(run: str) -> str:
    """The prefix of the files of all checkpoints."""
    return f"{run_prefix(run)}checkpoints/"


@dataclass(frozen=True, slots=True, order=True)
class CommitName:
    """Claim, step and id of a checkpoint; newer ones compare greater."""

    claim: int
    step: int
    id: str

    @property
    def text(self) -> str:
        """The form in keys."""
        return f"{self.claim:06d}-{self.step:09d}-{self.id}"


def checkpoint_prefix(run: str, name: CommitName) -> str:
    """The prefix of the files of one checkpoint."""
    return f"{checkpoints_prefix(run)}{name.text}/"


def commit_key(run: str, name: CommitName) -> str:
    """The manifest of one checkpoint."""
    return f"{commits_prefix(run)}{name.text}.json"


def pin_key(run: str, name: CommitName) -> str:
    """The file that protects one checkpoint from rotation."""
    return f"{commits_prefix(run)}{name.text}{PIN}"


def claim_of(run: str, key: str) -> int | None:
    """The claim under which a checkpoint's file was written; None for a foreign file."""
    folder = key.removeprefix(checkpoints_prefix(run)).partition("/")[0]
    try:
        return parse_commit_name(f"{folder}.json").claim
    except InvalidKey:
        return None


def parse_commit_name(text: str) -> CommitName:
    """The inverse of `CommitName.text`, with `.json` appended. Raises InvalidKey."""
    match = _COMMIT.fullmatch(text)
    if match is None:
        raise InvalidKey(f"{text!r} is not a commit's name")
    return CommitName(int(match[1]), int(match[2]), match[3])
