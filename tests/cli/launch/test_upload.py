"""What is uploaded of a base model: all that the trainer reads, the licence, and nothing else; and
that a launch mends what is damaged of it, as `fintts store check` says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import tiny_eval
from checks import every
from fintts_cli.errors import UsageProblem
from fintts_cli.launch.resume import refuse_other_inputs
from fintts_cli.launch.upload import (
    AS_WRITTEN,
    Inputs,
    check_inputs,
    describe_base_model,
    upload_files,
    upload_inputs,
)
from fintts_inputs.base_model.files import INDEX
from fintts_inputs.base_model.open import open_base_model
from fintts_inputs.config import EvalConfig, RunConfig, SamplesConfig
from fintts_inputs.errors import CodecProblem, EvalModelProblem
from fintts_store import layout
from fintts_store.backends.directory import DirectoryStore
from fintts_store.runs.runs import create_run
from fintts_store.upkeep.byte_check import read_inputs
from fintts_store.upkeep.survey import survey_store
from parity_fixtures import HERE
from run_samples import record
from tiny_run import TINY, write_speech
from tiny_s2 import SHARDS, write_tiny_s2
from unicode_pairs import SHA256_AS_WRITTEN, write_pairs

CODEC = HERE / "codec_for_fish_s1_tiny"


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def upload(store: DirectoryStore, folder: Path) -> list[str]:
    told: list[str] = []
    reference = describe_base_model(open_base_model(folder))
    upload_files(store, reference, folder, "the base model", told.append)
    assert told[0].startswith(f"uploading the base model's {reference.files[0].name}, ")
    names = [file.name for file in reference.files]
    assert [entry.key for entry in store.list(reference.prefix)] == sorted(
        reference.prefix + name for name in names
    )
    return sorted(names)


def test_a_folder_of_several_files_is_uploaded_whole(store: DirectoryStore, tmp_path: Path) -> None:
    folder = write_tiny_s2(tmp_path / "s2")
    (folder / "codec.pth").write_bytes(b"the codec is not trained")
    (folder / "LICENSE.md").write_text("as you like it")
    expected = ["LICENSE.md", "config.json", "tokenizer.json", INDEX, *SHARDS]
    assert upload(store, folder) == sorted(expected)


def test_a_licence_makes_it_another_upload(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(TINY, tmp_path / "base"))
    bare = describe_base_model(open_base_model(folder))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    assert describe_base_model(open_base_model(folder)).digest != bare.digest
    assert len(bare.files) == 4


def launch(store: DirectoryStore, folder: Path, name: str = "one") -> Inputs:
    """As `fintts cloud launch` does, up to the record."""
    speech = folder / "speech"
    data = speech if speech.exists() else write_speech(speech)
    config = RunConfig.model_validate({"data": data, "base_model": TINY})
    inputs = upload_inputs(store, check_inputs(config), lambda _sentence: None)
    create_run(store, record(run=name, dataset=inputs.dataset, base_model=inputs.base_model))
    return inputs


def test_another_launch_mends_what_is_missing_or_cut_short(
    store: DirectoryStore, tmp_path: Path
) -> None:
    inputs = launch(store, tmp_path)
    assert survey_store(store).faults == ()
    model = inputs.base_model.prefix + "model.pth"
    assert inputs.dataset is not None
    store.delete(inputs.dataset.key)
    store.put(model, b"".join(store.stream(model))[:-1])
    faults = survey_store(store).faults
    assert [fault.place for fault in faults] == [model, inputs.dataset.key]
    assert every("launch again with the same files to upload it" in f.sentence for f in faults)
    launch(store, tmp_path, "two")
    found = survey_store(store)
    assert (found.faults, read_inputs(store, found.inputs)) == ((), [])


def test_what_has_other_bytes_is_mended_once_it_is_deleted(
    store: DirectoryStore, tmp_path: Path
) -> None:
    inputs = launch(store, tmp_path)
    model = inputs.base_model.prefix + "model.pth"
    store.put(model, b"\0" * len(b"".join(store.stream(model))))
    found = survey_store(store)
    assert found.faults == ()
    (fault,) = read_inputs(store, found.inputs)
    assert (fault.place, fault.run) == (model, "one")
    assert "delete it, then launch again with the same files to upload it" in fault.sentence
    launch(store, tmp_path, "two")
    assert read_inputs(store, survey_store(store).inputs), "its size alone is compared"
    store.delete(model)
    launch(store, tmp_path, "three")
    assert read_inputs(store, survey_store(store).inputs) == []


def test_what_an_unfinished_launch_has_uploaded_is_of_use_to_the_next(
    store: DirectoryStore, tmp_path: Path
) -> None:
    inputs = launch(store, tmp_path)
    store.delete(layout.run_json_key("one"))
    unused = survey_store(store).faults
    assert inputs.dataset is not None
    assert {fault.place for fault in unused} == {inputs.dataset.key, inputs.base_model.prefix}
    assert every(fault.is_harmless for fault in unused)
    launch(store, tmp_path, "two")
    assert survey_store(store).faults == ()


def test_a_run_that_was_begun_with_other_forms_goes_on(
    store: DirectoryStore, tmp_path: Path
) -> None:
    """Its data set, packed before fintts brought names and texts into NFC, is found again."""
    data = write_pairs(tmp_path / "speech", codes="NFD", text="NFD", content="NFD")
    config = RunConfig(data=data, base_model=TINY)
    told: list[str] = []
    new = upload_inputs(store, check_inputs(config), told.append)
    assert new.prompt.name == "fish-s1"
    assert AS_WRITTEN not in told
    assert new.dataset is not None
    old = new.dataset.model_copy(update={"sha256": SHA256_AS_WRITTEN})
    begun = record(dataset=old, base_model=new.base_model, initial_adapter=None)
    again = upload_inputs(store, check_inputs(config), told.append, begun)
    assert again.dataset is not None
    assert again.dataset.sha256 == SHA256_AS_WRITTEN != new.dataset.sha256
    assert AS_WRITTEN in told
    refuse_other_inputs(begun, again)


def speaking(folder: Path, *, speaks: bool = True) -> RunConfig:
    """A configuration whose base model has its codec beside it."""
    base = Path(shutil.copytree(TINY, folder / "base"))
    shutil.copytree(CODEC, base, dirs_exist_ok=True)
    data = write_speech(folder / "speech")
    samples = {"held_out": 1} if speaks else {}
    return RunConfig.model_validate({"data": data, "base_model": base, "samples": samples})


def test_the_codec_goes_along_with_a_run_that_speaks_and_only_then(
    store: DirectoryStore, tmp_path: Path
) -> None:
    silent = speaking(tmp_path, speaks=False)
    assert upload_inputs(store, check_inputs(silent), lambda _sentence: None).codec is None
    assert not store.list(layout.CODECS)
    config = silent.model_copy(update={"samples": SamplesConfig(held_out=1)})
    inputs = upload_inputs(store, check_inputs(config), lambda _sentence: None)
    assert inputs.codec is not None
    assert inputs.codec.prefix in inputs.keys
    names = [entry.key.removeprefix(inputs.codec.prefix) for entry in store.list(layout.CODECS)]
    assert names == ["codec.pth", "codec_config.json"]
    begun = record(
        dataset=inputs.dataset,
        base_model=inputs.base_model,
        codec=inputs.codec,
        initial_adapter=None,
    )
    create_run(store, begun)
    assert survey_store(store).faults == ()
    refuse_other_inputs(begun, inputs)
    with pytest.raises(UsageProblem, match="samples: the codec"):
        refuse_other_inputs(begun.model_copy(update={"codec": None}), inputs)


def test_the_models_that_measure_go_along_with_a_run_that_speaks(
    store: DirectoryStore, tmp_path: Path
) -> None:
    config = speaking(tmp_path)
    weights = tmp_path / "pretrained.pt"
    shutil.copy(tiny_eval.ENCODER, weights)
    measured = config.model_copy(update={"eval": EvalConfig(speaker_encoder=weights)})
    silent = measured.model_copy(update={"samples": SamplesConfig()})
    assert not upload_inputs(store, check_inputs(silent), lambda _sentence: None).eval_models
    assert not store.list(layout.EVAL_MODELS)
    inputs = upload_inputs(store, check_inputs(measured), lambda _sentence: None)
    model = inputs.eval_models["speaker_encoder"]
    assert model.prefix in inputs.keys
    assert store.get(f"{model.prefix}pretrained.pt", 10**9) == weights.read_bytes()
    begun = record(
        dataset=inputs.dataset,
        base_model=inputs.base_model,
        codec=inputs.codec,
        eval_models=inputs.eval_models,
        initial_adapter=None,
    )
    create_run(store, begun)
    assert survey_store(store).faults == ()
    store.delete(f"{model.prefix}pretrained.pt")
    (fault,) = survey_store(store).faults
    assert fault.place == model.prefix
    refuse_other_inputs(begun, inputs)
    for others in ({}, {"speaker_encoder": model.model_copy(update={"files": ()})}):
        with pytest.raises(UsageProblem, match=r"eval\.speaker_encoder: the model"):
            refuse_other_inputs(begun.model_copy(update={"eval_models": others}), inputs)
    weights.unlink()
    with pytest.raises(EvalModelProblem, match="there is no file"):
        check_inputs(measured)


def test_a_run_that_cannot_speak_is_refused_before_anything_is_uploaded(tmp_path: Path) -> None:
    config = speaking(tmp_path)
    (config.base_model / "codec.pth").unlink()
    with pytest.raises(CodecProblem, match=r"has no codec\.pth") as refused:
        check_inputs(config)
    assert "hf download" in refused.value.hint
    assert "leave out `samples`" in refused.value.hint
    assert "--codec" not in refused.value.hint, "a launch has no such option"
    shutil.copyfile(HERE / "codec_s1_tiny" / "codec.pth", config.base_model / "codec.pth")
    with pytest.raises(CodecProblem, match="codebooks, the base model"):
        check_inputs(config)
