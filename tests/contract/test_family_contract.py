"""What every base model family must do; each joins by one more `Member`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from checks import every
from fintts_inputs.base_model import families
from fintts_inputs.base_model.adapter import check_initial_adapter
from fintts_inputs.base_model.families import read_config
from fintts_inputs.base_model.open import open_base_model
from fintts_inputs.config import LoraConfig, Target
from fintts_inputs.errors import BaseModelProblem, SpeechProblem
from fintts_inputs.speech.sampling import SamplingOptions
from fintts_store.runs.metrics import read_metrics
from fintts_store.runs.records import StopReason
from fintts_trainer.data.batches import collate
from fintts_trainer.families import FAMILIES, open_base
from fintts_trainer.families.base import IGNORE, BaseModel, BaseModelFamily, Example, Predictions
from fintts_trainer.families.csm import CsmFamily
from fintts_trainer.families.fish import FishFamily
from fintts_trainer.model.lora import add_adapter, read_adapter, trainable, write_adapter
from fintts_trainer.session.preemption import Preemption
from fintts_trainer.synthesis.request import Reference, Speech, SpeechRequest
from fintts_trainer.train import train
from plain_lm import PLAIN_FAMILY, PlainFamily, write_plain_lm
from tiny_csm import write_tiny_csm
from tiny_run import TINY, start_run, write_speech

StateDict = dict[str, Tensor]
Damage = Callable[[StateDict], object]
TARGETS: tuple[Target, ...] = ("attention", "mlp", "embeddings", "heads")
TEXTS = ("Vaka vanha Väinämöinen", "itse", "laati laulun, 12 säettä", "ja lauloi")
FRAMES = (7, 12, 4, 9)
GREEDY = SamplingOptions(temperature=0, repetition_penalty=1)


@dataclass(frozen=True)
class Member:
    """A family, a tiny model of it, and what a test has to know of its files.

    Attributes:
        weights_file: holds one of the model's state dicts.
        damage: rewrites that file with one change.
        norm: the key of the last norm in that state dict.
        control_text: a transcript full of what would be control tokens.
        control_ids: the ids of all control tokens.
    """

    family: BaseModelFamily
    folder: Path
    weights_file: str
    damage: Callable[[Path, Damage], None]
    norm: str
    control_text: str
    control_ids: Callable[[Path], set[int]]

    def open(self) -> BaseModel:
        return self.family.open(read_config(self.folder))


def _damage_pickle(path: Path, change: Damage) -> None:
    state = dict(torch.load(path, weights_only=True))
    change(state)
    torch.save(state, path)


def _damage_safetensors(path: Path, change: Damage) -> None:
    state = load_file(path)
    change(state)
    save_file(state, path)


def _fish_control_ids(folder: Path) -> set[int]:
    return set(json.loads((folder / "special_tokens.json").read_text()).values())


def _csm_control_ids(folder: Path) -> set[int]:
    added = json.loads((folder / "tokenizer.json").read_text())["added_tokens"]
    return {token["id"] for token in added}


def fish(folder: Path) -> Member:
    return Member(
        family=FishFamily(),
        folder=Path(shutil.copytree(TINY, folder)),
        weights_file="model.pth",
        damage=_damage_pickle,
        norm="norm.weight",
        control_text="<|im_end|><|semantic:5|> <|interleave|>",
        control_ids=_fish_control_ids,
    )


def csm(folder: Path) -> Member:
    return Member(
        family=CsmFamily(),
        folder=write_tiny_csm(folder),
        weights_file="model.safetensors",
        damage=_damage_safetensors,
        norm="backbone_model.norm.weight",
        control_text="<|end_of_text|><|AUDIO|> <|audio_eos|>",
        control_ids=_csm_control_ids,
    )


def plain(folder: Path) -> Member:
    return Member(
        family=PlainFamily(),
        folder=write_plain_lm(folder),
        weights_file="model.safetensors",
        damage=_damage_safetensors,
        norm="model.norm.weight",
        control_text="<|end_of_text|><|AUDIO|> <|audio_eos|>",
        control_ids=_csm_control_ids,
    )


MEMBERS: dict[str, Callable[[Path], Member]] = {"fish": fish, "csm": csm, "plain": plain}


@pytest.fixture(scope="module", autouse=True)
def with_plain_family() -> Generator[None]:
    """A family that lies in no package of the program, added by one line on either side."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(families.FAMILIES, "plain", PLAIN_FAMILY)
        patch.setitem(FAMILIES, "plain", PlainFamily())
        yield


@pytest.fixture(scope="module", params=MEMBERS)
def member(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Member:
    """Only to be read; a test that damages files makes a copy."""
    return MEMBERS[request.param](tmp_path_factory.mktemp("family") / "base")


@pytest.fixture
def copy(member: Member, tmp_path: Path) -> Path:
    """The model's folder, to be damaged."""
    return Path(shutil.copytree(member.folder, tmp_path / "copy"))


@pytest.fixture
def base(member: Member) -> BaseModel:
    return member.open()


@pytest.fixture
def examples(base: BaseModel) -> list[Example]:
    return [base.encode(text, codes) for text, codes in zip(TEXTS, _codes(base), strict=True)]


def _codes(base: BaseModel) -> list[npt.NDArray[np.int64]]:
    generator, shape = np.random.default_rng(3), base.shape
    sizes = ((shape.num_codebooks, frames) for frames in FRAMES)
    return [generator.integers(0, shape.codebook_size, size) for size in sizes]


def _adapted(base: BaseModel, config: LoraConfig | None = None, *, seed: int = 7) -> PeftModel:
    model = base.load(torch.float32)
    return add_adapter(model, base.targets, config or LoraConfig(), base_name="tiny", seed=seed)


def _randomise(model: PeftModel) -> None:
    """Fills every B, which starts at zero, so that the adapter changes the output."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in trainable(model).values():
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))


def _mean_loss(model: torch.nn.Module, examples: list[Example]) -> Tensor:
    found: Predictions = model(collate(examples))
    return torch.stack([loss.total / loss.count for loss in found.losses().values()]).sum()


def _predict(model: torch.nn.Module, examples: list[Example]) -> Predictions:
    with torch.no_grad():
        found: Predictions = model(collate(examples))
    return found


def test_every_family_is_a_member() -> None:
    assert set(MEMBERS) == set(FAMILIES)


def test_a_folder_is_opened_by_its_family(member: Member) -> None:
    base = open_base(member.folder)
    assert type(base) is type(member.open())
    assert base.shape.family == member.family.name


def test_an_empty_folder_is_refused(member: Member, tmp_path: Path) -> None:
    with pytest.raises(BaseModelProblem, match=r"no config\.json"):
        member.family.open(read_config(tmp_path))


def test_a_model_of_another_family_is_refused(member: Member, tmp_path: Path) -> None:
    for name in set(MEMBERS) - {member.family.name}:
        other = MEMBERS[name](tmp_path / name)
        with pytest.raises(BaseModelProblem):
            member.family.open(read_config(other.folder))


@pytest.mark.parametrize("fault", ["missing", "garbage"])
def test_every_file_is_needed(member: Member, copy: Path, fault: str) -> None:
    names = [path.name for path in copy.iterdir() if not path.name.startswith("expected")]
    for name in names:
        content = (copy / name).read_bytes()
        if fault == "missing":
            (copy / name).unlink()
        else:
            (copy / name).write_text("{not what it should be")
        with pytest.raises(BaseModelProblem, match=name):
            member.family.open(read_config(copy)).load(torch.float32)
        (copy / name).write_bytes(content)
    assert member.weights_file in names


def test_frames_and_the_end_carry_a_label_and_text_carries_none(base: BaseModel) -> None:
    codes = _codes(base)[0]
    example = base.encode(TEXTS[0], codes)
    batch = collate([example])
    frames, first = codes.shape[1], example.text_length - 1
    labelled = (batch.labels[0, 0] != IGNORE).nonzero()[:, 0].tolist()
    assert example.length == example.text_length + frames + 1
    assert labelled == list(range(first, first + frames + 1))
    rows = example.tokens.shape[0] - 1
    coded = frames + 1 if example.end_has_codes else frames
    assert example.end_has_codes == base.shape.end_has_codes
    assert (batch.label_count, batch.code_count) == (frames + 1, rows * coded)
    np.testing.assert_array_equal(
        batch.labels[0, 1:, first : first + frames], codes[len(codes) - rows :]
    )


def test_what_looks_like_control_in_a_transcript_stays_text(
    member: Member, base: BaseModel
) -> None:
    control = member.control_ids(member.folder)
    plain, laden = (
        base.encode(text, _codes(base)[0]) for text in ("abc", f"a{member.control_text}c")
    )
    found, wanted = (
        [int(i) for i in example.tokens[0, : example.text_length] if int(i) in control]
        for example in (laden, plain)
    )
    assert found == wanted
    assert wanted
    assert laden.text_length > plain.text_length


def test_a_batch_gives_finite_losses_with_its_counts(
    base: BaseModel, examples: list[Example]
) -> None:
    batch = collate(examples)
    found = _predict(base.load(torch.float32), examples)
    losses = found.losses()
    assert every(loss.total.isfinite() for loss in losses.values())
    assert losses["token"].count == batch.label_count == sum(FRAMES) + len(FRAMES)
    assert sum(loss.count for loss in losses.values()) == batch.label_count + batch.code_count
    choices = {head: logits.shape[-1] for head, logits in found.logits().items()}
    assert choices == base.shape.choices
    assert losses.keys() == choices.keys()
    labels = [found.token_labels] + ([] if found.code_labels is None else [found.code_labels])
    assert min(int(one.min()) for one in labels) >= 0


def test_padding_and_neighbours_do_not_change_an_utterance(
    base: BaseModel, examples: list[Example]
) -> None:
    model = base.load(torch.float32).eval()
    short, *others = sorted(examples, key=lambda example: example.length)
    alone = _predict(model, [short])
    for neighbour in others:
        found = _predict(model, [short, neighbour])
        for head, its in alone.logits().items():
            torch.testing.assert_close(found.logits()[head][: len(its)], its, atol=2e-5, rtol=0)


def test_a_position_sees_what_is_before_it_alone(base: BaseModel) -> None:
    codes = _codes(base)[1]
    changed = codes.copy()
    changed[:, -1] = (changed[:, -1] + 1) % base.shape.codebook_size
    model = base.load(torch.float32).eval()
    one, other = (_predict(model, [base.encode(TEXTS[1], c)]) for c in (codes, changed))
    # The last frame is read by the end alone; the frame itself was predicted before.
    torch.testing.assert_close(one.logits()["token"][:-1], other.logits()["token"][:-1])
    assert (one.logits()["token"][-1] - other.logits()["token"][-1]).abs().max() > 1e-4


def test_text_and_every_codebook_are_read(base: BaseModel) -> None:
    model = base.load(torch.float32).eval()
    codes = _codes(base)[1]
    before = _predict(model, [base.encode("abc", codes)])
    after = _predict(model, [base.encode("abd", codes)])
    assert (before.logits()["token"][0] - after.logits()["token"][0]).abs().max() > 1e-4
    for row in range(base.shape.num_codebooks):
        changed = codes.copy()
        changed[row, 0] = (changed[row, 0] + 1) % base.shape.codebook_size
        after = _predict(model, [base.encode("abc", changed)])
        assert (before.logits()["token"][1] - after.logits()["token"][1]).abs().max() > 1e-4


def test_every_adapted_parameter_gets_a_gradient(base: BaseModel, examples: list[Example]) -> None:
    model = _adapted(base)
    _randomise(model)
    torch.autograd.backward(_mean_loss(model, examples))
    assert every(p.grad is not None and p.grad.any() for p in trainable(model).values())


def test_nothing_but_the_adapter_is_trained(base: BaseModel) -> None:
    assert not any(parameter.requires_grad for parameter in base.load(torch.float32).parameters())
    assert every("lora_" in name for name in trainable(_adapted(base)))


def test_an_adapter_starts_as_a_no_op(base: BaseModel, examples: list[Example]) -> None:
    before, after = (_predict(m, examples) for m in (base.load(torch.float32), _adapted(base)))
    for head, logits in before.logits().items():
        assert torch.equal(logits, after.logits()[head])


def test_peft_alone_opens_an_adapter(
    base: BaseModel, examples: list[Example], tmp_path: Path
) -> None:
    model = _adapted(base)
    _randomise(model)
    write_adapter(model, tmp_path)
    opened = PeftModel.from_pretrained(base.load(torch.float32), str(tmp_path))
    wanted, found = _predict(model, examples), _predict(opened, examples)
    without = _predict(base.load(torch.float32), examples)
    for head, logits in found.logits().items():
        assert torch.equal(logits, wanted.logits()[head])
        assert (logits - without.logits()[head]).abs().max() > 1e-4


def test_an_adapter_reads_back_bit_for_bit(base: BaseModel, tmp_path: Path) -> None:
    model, other = _adapted(base), _adapted(base, seed=99)
    _randomise(model)
    write_adapter(model, tmp_path)
    read_adapter(other, tmp_path)
    mine, theirs = trainable(model), trainable(other)
    assert mine.keys() == theirs.keys()
    assert every(torch.equal(mine[name], theirs[name]) for name in mine)


@pytest.mark.parametrize("change", ["missing", "unexpected", "misshapen"])
def test_weights_that_do_not_fit_are_named(member: Member, copy: Path, change: str) -> None:
    key = "stray.lora_A.weight" if change == "unexpected" else member.norm
    changes: dict[str, Damage] = {
        "missing": lambda state: state.pop(key),
        "unexpected": lambda state: state.update({key: torch.zeros(2)}),
        "misshapen": lambda state: state.update({key: torch.zeros(3)}),
    }
    member.damage(copy / member.weights_file, changes[change])
    with pytest.raises(BaseModelProblem) as refused:
        member.family.open(read_config(copy)).load(torch.float32)
    said = "has shape (3,)" if change == "misshapen" else f"1 {change}"
    assert key in refused.value.message
    assert said in refused.value.message


@pytest.mark.parametrize("targets", [*[(t,) for t in TARGETS], ("attention", "mlp"), TARGETS])
def test_the_shape_knows_the_size_of_an_adapter(
    base: BaseModel, targets: tuple[Target, ...]
) -> None:
    config = LoraConfig(rank=3, targets=targets)
    counted = sum(parameter.numel() for parameter in trainable(_adapted(base, config)).values())
    assert counted == base.shape.lora_parameters(3, targets)


def test_the_shape_knows_the_size_of_the_model(base: BaseModel) -> None:
    counted = sum(parameter.numel() for parameter in base.load(torch.float32).parameters())
    assert counted == base.shape.parameters


def test_a_base_in_bfloat16_says_almost_the_same(base: BaseModel, examples: list[Example]) -> None:
    model = base.load(torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}
    with torch.no_grad():
        half, whole = (_mean_loss(m, examples) for m in (model, base.load(torch.float32)))
    assert half.item() == pytest.approx(whole.item(), rel=0.02)


def test_tables_stay_exact_in_bfloat16(base: BaseModel) -> None:
    """Rotary frequencies in bfloat16 would put a position of 400 off by 0.46 of a radian."""
    half, whole = (dict(base.load(t).named_buffers()) for t in (torch.bfloat16, torch.float32))
    assert half.keys() == whole.keys()
    assert half
    for name, table in whole.items():
        assert half[name].dtype == table.dtype
        assert torch.equal(half[name], table)


def test_training_lowers_the_loss(base: BaseModel, examples: list[Example]) -> None:
    model = _adapted(base)
    optimizer = torch.optim.AdamW(trainable(model).values(), lr=1e-2)
    first = _mean_loss(model, examples).item()
    for _ in range(30):
        optimizer.zero_grad()
        torch.autograd.backward(_mean_loss(model, examples))
        optimizer.step()
    assert _mean_loss(model, examples).item() < 0.8 * first


def test_the_laptop_accepts_the_folder_and_an_adapter_for_it(
    member: Member, base: BaseModel, tmp_path: Path
) -> None:
    open_base_model(member.folder)
    lora = LoraConfig(targets=TARGETS)
    write_adapter(_adapted(base, lora), tmp_path)
    check_initial_adapter(tmp_path, base.shape, lora)


def _asked(base: BaseModel, **changes: Any) -> SpeechRequest:
    """A greedy request, whose codec has fewer codes than the model."""
    shape = base.shape
    sizes = (shape.codebook_size - 3,) * shape.num_codebooks
    request = SpeechRequest(TEXTS[0], sizes, 12, SamplingOptions(temperature=0))
    return replace(request, **changes)


def _speak(base: BaseModel, model: torch.nn.Module, **changes: Any) -> Speech:
    return base.synthesise(model.eval(), _asked(base, **changes), lambda _count: None)


def test_generated_codes_are_those_of_the_codec(base: BaseModel) -> None:
    told: list[int] = []
    request = _asked(base, sampling=SamplingOptions(temperature=1.0, top_p=1.0))
    found = base.synthesise(base.load(torch.float32).eval(), request, told.append)
    frames = found.codes.shape[1]
    assert found.codes.shape[0] == base.shape.num_codebooks
    assert 0 < frames <= request.most_frames
    assert found.ended or frames == request.most_frames
    assert told == list(range(1, frames + 1))
    assert 0 <= found.codes.min() <= found.codes.max() < request.codebook_sizes[0]
    assert 0 <= found.disallowed <= frames + 1


def test_generation_step_by_step_chooses_as_the_model_predicts_at_once(base: BaseModel) -> None:
    model = base.load(torch.float32).eval()
    codes = _speak(base, model, sampling=GREEDY).codes
    size = base.shape.codebook_size - 3
    every_code = np.tile(np.arange(size), (base.shape.num_codebooks, 1))
    speech = _predict(model, [base.encode("a", every_code)]).token_labels[:-1]
    found = _predict(model, [base.encode(TEXTS[0], codes)])
    frames = codes.shape[1]
    scores = found.logits()["token"][:frames, speech]
    assert torch.equal(speech[scores.argmax(-1)], found.token_labels[:frames])
    if found.code_labels is not None:
        # With Fish Speech the first code is the token's, and not the second network's.
        own = found.code_labels.shape[1] - (base.shape.num_codebooks - 1)
        best = found.logits()["code"][:frames, own:, :size].argmax(-1)
        assert torch.equal(best, found.code_labels[:frames, own:])


def test_speech_depends_on_its_seed_alone(base: BaseModel) -> None:
    model = base.load(torch.float32)
    drawn = SamplingOptions(temperature=1.0, top_p=1.0)
    before = torch.get_rng_state()
    first, again, other = (
        _speak(base, model, sampling=drawn, seed=seed).codes for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_adapter_is_heard(base: BaseModel) -> None:
    model = _adapted(base)
    plain_codes = _speak(base, base.load(torch.float32)).codes
    np.testing.assert_array_equal(_speak(base, model).codes, plain_codes)
    _randomise(model)
    assert not np.array_equal(_speak(base, model).codes, plain_codes)


def test_a_reference_is_heard_or_refused(base: BaseModel) -> None:
    model = base.load(torch.float32)
    codes = _codes(base)[2] % (base.shape.codebook_size - 3)
    one, other = (Reference(text, codes) for text in (TEXTS[1], TEXTS[2]))
    if base.shape.second is None:
        with pytest.raises(SpeechProblem, match="references"):
            _speak(base, model, references=(one,))
        return
    spoken = [_speak(base, model, references=given).codes for given in ((), (one,), (one, other))]
    assert not np.array_equal(spoken[0], spoken[1])
    assert not np.array_equal(spoken[1], spoken[2])


def test_repetition_is_penalised(base: BaseModel) -> None:
    model = base.load(torch.float32)
    heavy = SamplingOptions(temperature=0, repetition_penalty=5)
    assert not np.array_equal(
        _speak(base, model, sampling=heavy).codes, _speak(base, model, sampling=GREEDY).codes
    )


def test_a_text_that_is_too_long_to_speak_is_refused(base: BaseModel) -> None:
    model = base.load(torch.float32)
    with pytest.raises(SpeechProblem, match="the text is too long"):
        _speak(base, model, text="a" * base.shape.max_seq_len)
    left = base.encode("a" * 200, _codes(base)[0][:, :0]).text_length
    found = _speak(base, model, text="a" * 200, most_frames=10**6)
    assert found.ended or found.codes.shape[1] == base.shape.max_seq_len - left


def test_a_run_trains_without_a_second_network(tmp_path: Path) -> None:
    write_speech(tmp_path / "speech", utterances=12, codebooks=1)
    sections: dict[str, dict[str, object]] = {
        "training": {"batch_size": 2, "gradient_accumulation": 1, "max_steps": 4},
        "validation": {"every": 2, "fraction": 0.3},
        "checkpoints": {"every": 2},
    }
    run = start_run(tmp_path, sections, base=write_plain_lm(tmp_path / "base"))
    result = train(run.job(), Preemption())
    assert result is not None
    assert (result.stop_reason, result.step) == (StopReason.MAX_STEPS, 4)
    rows = read_metrics(run.store, run.name).rows
    assert {row.kind for row in rows} == {"train", "validation"}
    for row in rows:
        assert row.values["loss"] == row.values["token_loss"]
        assert "code_loss" not in row.values
