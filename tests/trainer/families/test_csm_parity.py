"""Our CSM against transformers' own: the processor's prompt, and the losses it reports itself."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from peft import PeftModel
from torch import nn
from transformers import (
    BatchFeature,
    CsmForConditionalGeneration,
    CsmProcessor,
    EncodecFeatureExtractor,
    PreTrainedTokenizerFast,
)

from checks import every
from fintts_inputs.base_model.families import read_config
from fintts_inputs.config import LoraConfig
from fintts_inputs.speech.sampling import SamplingOptions
from fintts_trainer.data.batches import collate
from fintts_trainer.families.csm import CsmBase, CsmFamily
from fintts_trainer.families.csm.prompt import encode_request
from fintts_trainer.model.lora import add_adapter, trainable, write_adapter
from fintts_trainer.synthesis.request import Reference, SpeechRequest
from tiny_csm import CHOICES, CODEBOOKS, CODES, tiny_csm, write_tiny_csm

TEXTS = ("Vaka vanha Väinämöinen", "Itse laati laulun, 12 säettä!")
SECONDS = (0.7, 1.1)
RATE = 24_000

pytestmark = pytest.mark.parity


@dataclass(frozen=True)
class Pair:
    """transformers' model and inputs, ours, and the codes that its codec made of the audio."""

    theirs: CsmForConditionalGeneration
    inputs: BatchFeature
    base: CsmBase
    codes: list[npt.NDArray[np.int64]]


@pytest.fixture(scope="module", params=[False, True], ids=["apart", "tied"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    tied: bool = request.param
    folder = write_tiny_csm(tmp_path_factory.mktemp("csm") / "base", tied=tied)
    theirs = tiny_csm(tied=tied)
    audio = [_noise(seconds, seed) for seed, seconds in enumerate(SECONDS)]
    inputs = _processor(folder)(
        text=[f"<|begin_of_text|>[0]{t}<|end_of_text|><|AUDIO|><|audio_eos|>" for t in TEXTS],
        audio=audio,
        output_labels=True,
    )
    with torch.no_grad():
        codes = [theirs.codec_model.encode(torch.tensor(a)[None, None]).audio_codes for a in audio]
    return Pair(
        theirs, inputs, CsmFamily().open(read_config(folder)), [c[0].numpy() for c in codes]
    )


def _processor(folder: Path) -> CsmProcessor:
    """transformers gives both of its classes no types."""
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="<|end_of_text|>"
    )
    extractor = EncodecFeatureExtractor(sampling_rate=RATE, feature_size=1)
    return CsmProcessor(extractor, tokenizer)  # type: ignore[no-untyped-call]


def _noise(seconds: float, seed: int) -> npt.NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    return generator.standard_normal(round(seconds * RATE)).astype(np.float32)


def test_the_codec_s_codes_differ(pair: Pair) -> None:
    """So that a mistake in their order cannot hide."""
    assert every(len(np.unique(codes)) > 10 for codes in pair.codes)


def test_the_prompt_is_the_processor_s(pair: Pair) -> None:
    frame, end = pair.theirs.config.audio_token_id, pair.theirs.config.audio_eos_token_id
    for row, text, codes in zip(pair.inputs["input_ids"], TEXTS, pair.codes, strict=True):
        example = pair.base.encode(text, codes)
        unpadded = row[-example.length :].tolist()
        ids = example.tokens[0, : example.text_length].tolist()
        assert unpadded == [*ids, *[frame] * codes.shape[1], end]


def test_the_losses_are_what_transformers_says(pair: Pair) -> None:
    assert_same_losses(pair, pair.base.load(torch.float32).eval(), pair.theirs)


def assert_same_losses(pair: Pair, ours: nn.Module, theirs: nn.Module) -> None:
    examples = [pair.base.encode(t, c) for t, c in zip(TEXTS, pair.codes, strict=True)]
    batch = collate(examples)
    with torch.no_grad():
        found, wanted = ours(batch), theirs(**pair.inputs)
    token = found.losses()["token"].total.item() / batch.label_count
    code = found.losses()["code"].total.item() / batch.code_count
    assert token == pytest.approx(wanted.backbone_loss.item(), abs=1e-5)
    assert code == pytest.approx(wanted.depth_decoder_loss.item(), abs=1e-5)
    assert token + code == pytest.approx(wanted.loss.item(), abs=2e-5)


def test_the_logits_are_transformers_own(pair: Pair) -> None:
    example = pair.base.encode(TEXTS[1], pair.codes[1])
    with torch.no_grad():
        ours = pair.base.load(torch.float32).eval()(collate([example]))
        theirs = pair.theirs(**pair.inputs)
    frames = pair.codes[1].shape[1] + 1
    torch.testing.assert_close(
        ours.logits()["token"], theirs.logits[1, -frames - 1 : -1], atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        ours.logits()["code"], theirs.depth_decoder_logits[-frames:], atol=1e-5, rtol=0
    )


def test_an_adapter_of_ours_opens_on_transformers_model(pair: Pair, tmp_path: Path) -> None:
    """PEFT misses adapters for the codec's attention, whose names end alike: they stay no-ops."""
    model = add_adapter(
        pair.base.load(torch.float32), pair.base.targets, LoraConfig(), base_name="tiny", seed=1
    )
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in trainable(model).values():
            parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))
    write_adapter(model, tmp_path)
    with pytest.warns(UserWarning, match="missing adapter keys") as said:
        theirs = PeftModel.from_pretrained(copy.deepcopy(pair.theirs), str(tmp_path))
    missed = str(said[0].message).split("'")[1::2]
    assert every(".codec_model." in key for key in missed)
    assert_same_losses(pair, model.eval(), theirs.eval())
    with pytest.raises(AssertionError):
        assert_same_losses(pair, model, pair.theirs)


@pytest.mark.parametrize("has_reference", [False, True], ids=["alone", "with a reference"])
def test_generated_frames_are_those_of_transformers(pair: Pair, has_reference: bool) -> None:
    base, theirs = pair.base, pair.theirs
    references = (Reference(TEXTS[1], pair.codes[1]),) if has_reference else ()
    request = SpeechRequest(
        TEXTS[0],
        (CODES,) * CODEBOOKS,
        20,
        SamplingOptions(temperature=0),
        references=references,
    )
    prompt = encode_request(base.tokenizer, base.config, TEXTS[0], references)
    model = base.load(torch.float32).eval()
    found = base.synthesise(model, request, lambda _count: None)
    barred = list(range(CODES, CHOICES))
    with torch.no_grad():
        made = theirs.generate(
            inputs_embeds=model._embed(torch.from_numpy(prompt)[None]),
            attention_mask=torch.ones(1, prompt.shape[1], dtype=torch.long),
            max_new_tokens=20,
            do_sample=False,
            suppress_tokens=barred,
            depth_decoder_do_sample=False,
            depth_decoder_suppress_tokens=barred,
        )
    np.testing.assert_array_equal(found.codes, made[0].T.numpy()[:, : found.codes.shape[1]])
    assert found.codes.shape[1] >= 19
