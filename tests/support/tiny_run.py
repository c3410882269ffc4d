"""Runs of a tiny model, each in a store of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np

from fintts_cli.launch.codec import describe_codec
from fintts_cli.launch.upload import describe_eval_model, upload_files
from fintts_inputs.codec.find import find_codec
from fintts_inputs.config import RunConfig
from fintts_inputs.data.packing import pack_folder
from fintts_inputs.eval_models import eval_model_files
from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.disk.digest import sha256_of
from fintts_store.runs.run_record import (
    BaseModelRef,
    CodecRef,
    DatasetRef,
    EvalModels,
    FileRef,
    PriceRef,
    RunRecord,
)
from fintts_store.runs.runs import create_run
from fintts_trainer.session.job import Job

TINY = Path(__file__).parents[1] / "trainer" / "fixtures" / "fish_s1_tiny"


def write_speech(folder: Path, utterances: int = 40, codebooks: int = 4) -> Path:
    """A folder of pairs with a rhythm that a model can learn: codes repeat every few frames."""
    folder.mkdir()
    generator = np.random.default_rng(5)
    for n in range(utterances):
        motif = generator.integers(0, 64, (codebooks, 3))
        np.save(folder / f"u{n:03d}.npy", np.tile(motif, (1, 2 + n % 3)).astype(np.int16))
        (folder / f"u{n:03d}.lab").write_text(f"rivi numero {n}\n")
    return folder


@dataclass(frozen=True)
class TinyRun:
    """A run in a store, and the ways to work on it."""

    store: DirectoryStore
    name: str
    folder: Path

    def job(self, workspace: str = "workspace") -> Job:
        """To be trained in this process."""
        return Job(self.store, self.name, self.folder / workspace, deadline_at=None)

    def command(self, *arguments: str) -> list[str]:
        """The trainer as the instance starts it."""
        return [sys.executable, "-P", "-m", "fintts_trainer", *arguments]

    def environment(self, workspace: str = "workspace") -> dict[str, str]:
        """What the instance exports."""
        return {
            **os.environ,
            "FINTTS_STORE": self.store.url,
            "FINTTS_RUN": self.name,
            "FINTTS_WORKSPACE": str(self.folder / workspace),
            "OMP_NUM_THREADS": "1",
        }

    def train(self, workspace: str = "workspace") -> subprocess.CompletedProcess[str]:
        """Trains in a process of its own, to the end."""
        return subprocess.run(
            self.command("run"),
            env=self.environment(workspace),
            capture_output=True,
            text=True,
            check=False,
        )


def start_run(
    folder: Path,
    sections: Mapping[str, Mapping[str, object]] | None = None,
    *,
    name: str = "tiny",
    base: Path = TINY,
    deadline: timedelta = timedelta(hours=1),
    prompt: str | None = None,
    codec: Path | None = None,
) -> TinyRun:
    """Writes what `fintts cloud launch` writes before an instance starts.

    Args:
        codec: the folder of one, for a run that speaks samples.
    """
    folder.mkdir(exist_ok=True)
    store = DirectoryStore(folder / "store")
    speech = folder / "speech"
    packed = pack_folder(speech if speech.exists() else write_speech(speech), folder / "packed")
    store.put(layout.dataset_key(packed.sha256), packed.path)
    files = sorted(path for path in base.iterdir() if not path.name.startswith("expected"))
    prefix = layout.base_model_prefix("0" * 64)
    for path in files:
        store.put(prefix + path.name, path)
    config = RunConfig.model_validate({"data": speech, "base_model": base, **(sections or {})})
    now = datetime.now(UTC)
    record = RunRecord(
        run=name,
        created_at=now,
        fintts_version="test",
        config=config.model_dump(mode="json"),
        dataset=DatasetRef(
            key=layout.dataset_key(packed.sha256),
            sha256=packed.sha256,
            size_bytes=packed.size_bytes,
            utterances=packed.utterances,
            frames=packed.frames,
        ),
        base_model=BaseModelRef(
            name=base.name,
            prefix=prefix,
            digest="0" * 64,
            files=tuple(
                FileRef(name=p.name, size_bytes=p.stat().st_size, sha256=sha256_of(p))
                for p in files
            ),
        ),
        prompt=prompt,
        codec=None if codec is None else _stored_codec(store, codec),
        eval_models=_stored_eval_models(store, config),
        price=PriceRef(hourly_rate_usd=Decimal("1.20"), source="option"),
        deadline_at=now + deadline,
        estimate={},
        infra="local",
        gpus="A100-80GB:1",
    )
    create_run(store, record)
    return TinyRun(store, name, folder)


def _stored_codec(store: DirectoryStore, folder: Path) -> CodecRef:
    found = describe_codec(find_codec(folder))
    assert found is not None
    upload_files(store, found, folder, "the codec", lambda _sentence: None)
    return found


def _stored_eval_models(store: DirectoryStore, config: RunConfig) -> EvalModels:
    models: EvalModels = {}
    for kind, paths in eval_model_files(config.eval).items():
        models[kind] = describe_eval_model(paths)
        upload_files(store, models[kind], paths[0].parent, kind, lambda _sentence: None)
    return models
