"""The keys of a store: what lies where, and how a commit's key is read back.

    datasets/<sha256>.safetensors             packed data, written once
    base_models/<digest>/<file>               a base model's folder, written once
    adapters/<digest>/<file>                  an adapter that runs begin with, written once
    runs/<run>/run.json                  512 KiB  what was asked; never changed
    runs/<run>/revisions/<number>.json   512 KiB  a changed configuration; the highest counts
    runs/<run>/status.json               512 KiB  heartbeat; overwritten
    runs/<run>/stop.json                 512 KiB  the request to stop
    runs/<run>/metrics/<claim>-<part>.jsonl  4 MiB  append-only parts; all of them 32 MiB
    runs/<run>/tensorboard/<claim>/<file>     event files, brought home at the end
    runs/<run>/claims/<claim>            512 KiB  who may write the run
    runs/<run>/ledger/<launch>/asked.json  512 KiB  who asked for an instance, on which terms; it
                                              takes the number, before anything is rented
    runs/<run>/ledger/<launch>/<kind>-<moment>-<id>.json  512 KiB  when it was seen up, or gone
    runs/<run>/checkpoints/<claim>-<step>-<id>/<file>
    runs/<run>/commits/<claim>-<step>-<id>.json  512 KiB  the manifest: it is the commit
    runs/<run>/commits/<claim>-<step>-<id>.pin    keeps that checkpoint from being removed
    runs/<run>/result.json               512 KiB  how it ended; written last, once
    runs/<run>/logs/<moment>.txt           4 MiB  what an instance said; written at its end
    runs/<run>/traceback.txt                  of a fault of the program itself; overwritten
    runs/<run>/trial.txt                      of an instance's key; removed before it is rented
    probes/<moment>-<id>/…                    of `fintts store check`, for as long as it runs
    promise.json                         512 KiB  whether of several writers one succeeds, as tried

The sizes are the most that is read into memory (`runs/limits.py`, with the limits of numbers, dates
and texts): a larger record is damaged, of a larger log the end is shown. Checkpoints and inputs are
as large as their manifest or run.json says. Every record says which run it is of, and is damaged
where it lies under another.

Numbers are padded with zeros, so that keys sort as their numbers do.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from fintts_store.errors import InvalidKey, InvalidRunName

DATASETS, BASE_MODELS, ADAPTERS = "datasets/", "base_models/", "adapters/"
INPUTS = (DATASETS, BASE_MODELS, ADAPTERS)
"""where what runs read lies"""
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
    """Whether a run may be called so."""
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
    """Where a packed data set lies."""
    return f"{DATASETS}{sha256}.safetensors"


def base_model_prefix(digest: str) -> str:
    """Where the files of a base model lie."""
    return f"{BASE_MODELS}{digest}/"


def adapter_prefix(digest: str) -> str:
    """Where the files of an adapter lie that runs begin with."""
    return f"{ADAPTERS}{digest}/"


def input_place(key: str) -> str:
    """The data set itself, or the folder of the base model or adapter that a key belongs to."""
    kind, _, rest = key.partition("/")
    folder, slash, _ = rest.partition("/")
    return f"{kind}/{folder}/" if slash else key


def run_prefix(run: str) -> str:
    """Where everything of a run lies."""
    return f"{RUNS}{check_run_name(run)}/"


def trial_key(run: str) -> str:
    """What the key of an instance is tried with."""
    return f"{run_prefix(run)}trial.txt"


def run_json_key(run: str) -> str:
    """What was asked."""
    return f"{run_prefix(run)}run.json"


def revisions_prefix(run: str) -> str:
    """All changes of the configuration."""
    return f"{run_prefix(run)}revisions/"


def revision_key(run: str, number: int) -> str:
    """One change of the configuration; the first is 1."""
    return f"{revisions_prefix(run)}{number:06d}.json"


def revision_of(run: str, key: str) -> int | None:
    """The number of a revision; None for a foreign file."""
    match = _REVISION.fullmatch(key.removeprefix(revisions_prefix(run)))
    return int(match[1]) if match else None


def run_of(key: str) -> str | None:
    """The run below which a key lies; None if it lies below none."""
    name = key.removeprefix(RUNS).partition("/")[0]
    return name if key.startswith(RUNS) and _RUN.fullmatch(name) else None


def status_key(run: str) -> str:
    """The heartbeat."""
    return f"{run_prefix(run)}status.json"


def result_key(run: str) -> str:
    """How it ended."""
    return f"{run_prefix(run)}result.json"


def stop_request_key(run: str) -> str:
    """The request to stop."""
    return f"{run_prefix(run)}stop.json"


def traceback_key(run: str) -> str:
    """Where a fault of the program is kept for a report."""
    return f"{run_prefix(run)}traceback.txt"


def logs_prefix(run: str) -> str:
    """What each instance said, in the order of their ends."""
    return f"{run_prefix(run)}logs/"


def log_key(run: str, ended_at: datetime) -> str:
    """What one instance said."""
    return f"{logs_prefix(run)}{_moment(ended_at)}.txt"


def ledger_prefix(run: str) -> str:
    """What every launch of the run cost."""
    return f"{run_prefix(run)}ledger/"


def launch_prefix(run: str, launch: int) -> str:
    """Everything about one launch; the first is 1."""
    return f"{ledger_prefix(run)}{launch:06d}/"


def asked_key(run: str, launch: int) -> str:
    """Who asked for the instance."""
    return f"{launch_prefix(run, launch)}asked.json"


def sighting_key(run: str, launch: int, kind: str, at: datetime, writer: str) -> str:
    """When one laptop saw the instance up, or gone; `writer` has eight of 0 to 9 and a to f."""
    return f"{launch_prefix(run, launch)}{kind}-{_moment(at)}-{writer}.json"


def launch_of(run: str, key: str) -> int | None:
    """The launch that a file of the ledger is about; None for a foreign file."""
    name = key.removeprefix(ledger_prefix(run))
    match = _ASKED.fullmatch(name) or _SEEN.fullmatch(name)
    return int(match[1]) if match else None


def seen_up_at(run: str, key: str) -> datetime | None:
    """When an instance was seen up, as the name of the file says; None of any other file."""
    match = _SEEN.fullmatch(key.removeprefix(ledger_prefix(run)))
    if match is None or match[2] != "up":
        return None
    try:
        return datetime.strptime(match[3], _MOMENT).replace(tzinfo=UTC)
    except ValueError:  # there is no such day
        return None


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):{_MOMENT}}"


def metrics_prefix(run: str) -> str:
    """All parts of the metrics."""
    return f"{run_prefix(run)}metrics/"


def metrics_key(run: str, claim: int, part: int) -> str:
    """One part of the metrics."""
    return f"{metrics_prefix(run)}{claim:06d}-{part:06d}.jsonl"


def tensorboard_prefix(run: str, claim: int) -> str:
    """TensorBoard's event files of one job."""
    return f"{run_prefix(run)}tensorboard/{claim:06d}/"


def claims_prefix(run: str) -> str:
    """All claims."""
    return f"{run_prefix(run)}claims/"


def claim_key(run: str, claim: int) -> str:
    """One claim."""
    return f"{claims_prefix(run)}{claim:06d}"


def commits_prefix(run: str) -> str:
    """All manifests."""
    return f"{run_prefix(run)}commits/"


def checkpoints_prefix(run: str) -> str:
    """The files of all checkpoints."""
    return f"{run_prefix(run)}checkpoints/"


@dataclass(frozen=True, slots=True, order=True)
class CommitName:
    """Claim, step and id of a checkpoint; newer ones compare greater."""

    claim: int
    step: int
    id: str

    @property
    def text(self) -> str:
        """As it stands in keys."""
        return f"{self.claim:06d}-{self.step:09d}-{self.id}"


def checkpoint_prefix(run: str, name: CommitName) -> str:
    """Where the files of one checkpoint lie."""
    return f"{checkpoints_prefix(run)}{name.text}/"


def commit_key(run: str, name: CommitName) -> str:
    """The manifest of one checkpoint."""
    return f"{commits_prefix(run)}{name.text}.json"


def pin_key(run: str, name: CommitName) -> str:
    """What keeps one checkpoint from being removed."""
    return f"{commits_prefix(run)}{name.text}{PIN}"


def claim_of(run: str, key: str) -> int | None:
    """The claim under which a checkpoint's file was written; None for a foreign file."""
    folder = key.removeprefix(checkpoints_prefix(run)).partition("/")[0]
    try:
        return parse_commit_name(f"{folder}.json").claim
    except InvalidKey:
        return None


def parse_commit_name(text: str) -> CommitName:
    """The inverse of `CommitName.text` with `.json` behind it. Raises InvalidKey."""
    match = _COMMIT.fullmatch(text)
    if match is None:
        raise InvalidKey(f"{text!r} is not a commit's name")
    return CommitName(int(match[1]), int(match[2]), match[3])
