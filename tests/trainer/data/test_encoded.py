"""The encoded data set: what went in, encoded once, or a sentence that names what is wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from fintts_inputs.base_model.families import prompts
from fintts_inputs.data.pack import Pack, read_pack
from fintts_inputs.data.packing import pack_folder
from fintts_inputs.data.pairs import split
from fintts_inputs.errors import DataProblem
from fintts_store.errors import StoreError
from fintts_store.runs.runs import read_run
from fintts_trainer.data.encode import encode_utterances, encoding_key
from fintts_trainer.data.encoded import EncodedDataset, encoded_once, read_encoded, write_encoded
from fintts_trainer.families.base import Example
from fintts_trainer.families.fish import FishBase
from tiny_run import start_run, write_speech


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    return read_pack(pack_folder(write_speech(tmp_path / "speech"), tmp_path / "packed").path)


@pytest.fixture
def named(base: FishBase, pack: Pack) -> list[tuple[str, Example]]:
    examples = encode_utterances(base, pack, range(len(pack)))
    return list(zip(pack.names, examples, strict=True))


@pytest.fixture
def path(tmp_path: Path, named: list[tuple[str, Example]]) -> Path:
    write_encoded(tmp_path / "x.encoded", named, len(named))
    return tmp_path / "x.encoded"


def assert_same(dataset: EncodedDataset, named: list[tuple[str, Example]]) -> None:
    assert len(dataset) == len(named)
    for number, (_, example) in enumerate(named):
        back = dataset.example(number)
        assert back.tokens.dtype == np.int64
        np.testing.assert_array_equal(back.tokens, example.tokens)
        assert back.text_length == example.text_length
        assert back.end_has_codes == example.end_has_codes
        assert dataset.lengths[number] == example.length - 1


def test_what_is_read_is_what_was_encoded(path: Path, named: list[tuple[str, Example]]) -> None:
    assert_same(read_encoded(path), named)


def test_an_end_with_codes_is_kept(tmp_path: Path) -> None:
    tokens = np.arange(24).reshape(3, 8)
    tokens[1:, :3] = 0
    named = [("u", Example(tokens, text_length=3, end_has_codes=True))]
    write_encoded(tmp_path / "x", named, 1)
    assert_same(read_encoded(tmp_path / "x"), named)


def test_reading_goes_on_after_pages_were_given_back(
    path: Path, named: list[tuple[str, Example]]
) -> None:
    assert_same(read_encoded(path, release_bytes=1), named)


def test_the_split_is_that_of_the_names(path: Path, pack: Pack) -> None:
    for fraction in (0.1, 0.25, 0.9):
        training, held_out = read_encoded(path).split(fraction)
        parts = split(pack.names, fraction)
        assert (tuple(training), tuple(held_out)) == (parts.train, parts.held_out)
    with pytest.raises(DataProblem, match="of 40 utterances none is held out"):
        read_encoded(path).split(1e-9)


def test_a_token_takes_a_few_bytes(path: Path, named: list[tuple[str, Example]]) -> None:
    frames = sum(example.length - example.text_length for _, example in named)
    text = sum(example.text_length for _, example in named)
    wanted = 512 + 20 * len(named) + 4 * (frames + text) + 4 * 2 * frames
    assert wanted <= path.stat().st_size <= wanted + 2 * len(named)


def test_ids_beyond_the_file_s_types_are_not_cut_off(tmp_path: Path) -> None:
    tokens = np.full((2, 4), 65_536)
    with pytest.raises(OverflowError):
        write_encoded(
            tmp_path / "x", [("u", Example(tokens, text_length=1, end_has_codes=False))], 1
        )
    assert not list(tmp_path.iterdir())


def damaged(content: bytes, how: str) -> bytes:
    if how == "header":
        return content.replace(b'"rows":5', b'"rows":4')
    if how == "index":
        return content[:512] + bytes([content[512] ^ 1]) + content[513:]
    return {
        "empty": b"",
        "cut short": content[:-1],
        "too long": content + b"\0",
        "another format": content.replace(b"encoded-1", b"encoded-0"),
        "garbage": b"x" * len(content),
        "header alone": content[:512],
    }[how]


@pytest.mark.parametrize(
    "how",
    [
        "header",
        "index",
        "empty",
        "cut short",
        "too long",
        "another format",
        "garbage",
        "header alone",
    ],
)
def test_a_file_that_is_not_whole_is_encoded_anew(
    tmp_path: Path, path: Path, named: list[tuple[str, Example]], how: str
) -> None:
    folder = tmp_path / "encoded"
    folder.mkdir()
    (folder / "key.encoded").write_bytes(damaged(path.read_bytes(), how))
    with pytest.raises(DataProblem, match="encoded data set"):
        read_encoded(folder / "key.encoded")
    (folder / ".tmp-1234-key.encoded").write_bytes(b"of a process that was killed")
    dataset = encoded_once(folder, "key", lambda target: write_encoded(target, named, len(named)))
    assert_same(dataset, named)
    assert sorted(file.name for file in folder.iterdir()) == ["key.encoded"]


def test_a_damaged_utterance_is_noticed_when_it_is_read(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    dataset = read_encoded(path)
    dataset.example(0)
    with pytest.raises(DataProblem, match="utterance number 39 of the encoded data set") as refused:
        dataset.example(39)
    assert "start the run again" in refused.value.hint
    assert not path.exists(), "so that the next start encodes it anew"


def test_processes_that_start_together_encode_once(
    tmp_path: Path, named: list[tuple[str, Example]]
) -> None:
    writes: list[Path] = []

    second_writer = threading.Barrier(2)

    def write(target: Path) -> None:
        writes.append(target)
        with pytest.raises(threading.BrokenBarrierError):
            second_writer.wait(timeout=0.2)
        write_encoded(target, named, len(named))

    def start() -> None:
        opened.append(encoded_once(tmp_path / "encoded", "key", write))

    opened: list[EncodedDataset] = []
    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(writes), len(opened)) == (1, 4)


def test_an_encoding_that_fails_leaves_no_file(tmp_path: Path) -> None:
    def examples() -> Iterator[tuple[str, Example]]:
        yield "u0", Example(np.zeros((2, 4), dtype=np.int64), 1, end_has_codes=False)
        raise DataProblem("utterance u1 does not fit")

    with pytest.raises(DataProblem, match="u1"):
        encoded_once(tmp_path, "key", lambda target: write_encoded(target, examples(), 2))
    assert [file.name for file in tmp_path.iterdir()] == []


def test_a_folder_that_cannot_be_written_is_the_store_s_error(tmp_path: Path) -> None:
    (tmp_path / "encoded").write_text("a file")
    with pytest.raises(StoreError, match="encoded"):
        encoded_once(tmp_path / "encoded", "key", lambda _: None)


def test_the_key_changes_with_data_tokenizer_and_shape_and_not_with_weights(tmp_path: Path) -> None:
    run = start_run(tmp_path)
    record = read_run(run.store, run.name)
    key = encoding_key(record)
    files = record.base_model.files
    changed = {
        file.name: tuple(
            f.model_copy(update={"sha256": "f" * 64}) if f.name == file.name else f for f in files
        )
        for file in files
    }
    keys = {
        name: encoding_key(
            record.model_copy(
                update={"base_model": record.base_model.model_copy(update={"files": other})}
            )
        )
        for name, other in changed.items()
    }
    assert {name for name, other in keys.items() if other == key} == {"model.pth"}
    assert len(set(keys.values())) == len(files)
    dataset = record.packed.model_copy(update={"sha256": "f" * 64})
    assert encoding_key(record.model_copy(update={"dataset": dataset})) != key
    others = [record.model_copy(update={"prompt": prompt}) for prompt in prompts()]
    assert len({key, *map(encoding_key, others)}) == 1 + len(prompts()), "caches never mix"


def with_one_wrong(tmp_path: Path, **arrays: np.ndarray) -> Pack:
    """A pack of two utterances whose data check was passed over."""
    path = tmp_path / "wrong.safetensors"
    whole = pack_folder(write_speech(tmp_path / "two", utterances=2), tmp_path / "packed").path
    save_file({**load_file(whole), **arrays}, path)
    return read_pack(path)


def text_arrays(*texts: str) -> dict[str, np.ndarray]:
    parts = [text.encode("utf-8", "surrogateescape") for text in texts]
    return {
        "text": np.frombuffer(b"".join(parts), np.uint8),
        "text_offsets": np.cumsum([0, *map(len, parts)]),
    }


def codes(*rows: int, codebooks: int = 4, value: int = 1) -> dict[str, np.ndarray]:
    return {
        "codes": np.full((codebooks, sum(rows)), value, dtype=np.int32),
        "frame_offsets": np.cumsum([0, *rows]),
    }


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        (codes(6, 6, codebooks=3), "utterance u000 has 3 codebooks, but the base model has 4"),
        (codes(6, 6, value=64), "utterance u000 has the code 64, .* is 63"),
        (codes(6, 6, value=-2), "utterance u000 has the negative code -2"),
        (codes(6, 0), "utterance u001 has no frames"),
        (codes(6, 600), "utterance u001 is .* tokens long, but the base model reads at most 512"),
        (text_arrays("sana", ""), "the transcript of utterance u001 is empty for the base model"),
        (text_arrays("sana", "\udce4"), "has a text that is not UTF-8"),
    ],
)
def test_an_utterance_that_does_not_fit_is_named_with_a_mend(
    tmp_path: Path, base: FishBase, arrays: dict[str, np.ndarray], sentence: str
) -> None:
    pack = with_one_wrong(tmp_path, **arrays)
    with pytest.raises(DataProblem, match=sentence) as refused:
        list(encode_utterances(base, pack, range(2)))
    assert refused.value.hint


def test_special_tokens_in_a_transcript_stay_text(base: FishBase, tmp_path: Path) -> None:
    said = "<|im_end|> <|semantic:3|><|interleave|> loppu"
    pack = with_one_wrong(tmp_path, **text_arrays(said, "<|im_end|>"))
    tokenizer = base.tokenizer
    first_control = min(tokenizer.control.values())
    for example in encode_utterances(base, pack, range(2)):
        ids = example.tokens[0, 1 : example.text_length].tolist()
        assert max(ids) < first_control
        assert tokenizer.text.decode(ids).startswith("<|speaker:0|><|im_end|>")
        assert (example.tokens[0] == tokenizer.end_id).sum() == 1


def test_a_pack_without_utterances_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match="has no utterances"):
        write_encoded(tmp_path / "x", [], 0)
