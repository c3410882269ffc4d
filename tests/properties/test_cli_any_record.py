"""Whatever lies under a record's key: the commands that read it say so, and go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import hostile_stores
from fintts_cli.app import build
from fintts_store.backends.directory import DirectoryStore

EXAMPLES = 2000
COMMANDS = (
    "cloud ps",
    "cloud ps --json",
    "cloud watch bad",
    "cloud report bad",
    "cloud down bad",
    "cloud pull-checkpoints bad --to pulled",
    "store check",
)
RECORDS = ("run.json", "status.json", "result.json", "manifest", "metrics", "claim", "revision")

WILD = st.one_of(
    st.integers(),
    st.integers(-(10**40), 10**40),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["1e999999", "-5", "NaN", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "../x", "good"]
    ),
    st.none(),
    st.booleans(),
    st.just([]),
    st.just({}),
)
JSON = st.recursive(
    WILD, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=12
)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[hostile_stores.Bad]:
    folder = tmp_path_factory.mktemp("any")
    with pytest.MonkeyPatch.context() as patch, chdir(folder):
        patch.setenv("FINTTS_STATE_DIR", str(folder / "state"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        store = DirectoryStore(folder / "store")
        saved = folder / "saved"
        saved.mkdir()
        hostile_stores.healthy(store, saved, hostile_stores.GOOD)
        made = hostile_stores.healthy(store, saved, hostile_stores.BAD)
        yield hostile_stores.Bad(folder / "store", made)


def path_of(bad: hostile_stores.Bad, record: str) -> Path:
    named = {
        "manifest": bad.manifest,
        "metrics": bad.run / "metrics/000001-000000.jsonl",
        "claim": bad.run / "claims/000001",
        "revision": bad.run / "revisions/000001.json",
    }
    return named.get(record, bad.run / record)


@st.composite
def contents(draw: st.DrawFn, was: bytes) -> bytes:
    """Random bytes, random JSON, or the right shape with wild values."""
    kind = draw(st.sampled_from(["bytes", "json", "shape", "shape", "shape"]))
    if kind == "bytes":
        return draw(st.binary(max_size=200))
    if kind == "json" or not was:
        return json.dumps(draw(JSON)).encode()
    content = json.loads(was.splitlines()[0])
    for _ in range(draw(st.integers(1, 3))):
        place = content
        while True:
            key = draw(st.sampled_from(sorted(place)))
            if not isinstance(place[key], dict) or not place[key] or draw(st.booleans()):
                break
            place = place[key]
        place[key] = draw(WILD)
    return json.dumps(content).encode()


@settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data(), record=st.sampled_from(RECORDS), command=st.sampled_from(COMMANDS))
def test_no_record_takes_a_command_away(
    bad: hostile_stores.Bad, data: st.DataObject, record: str, command: str
) -> None:
    path = path_of(bad, record)
    was = path.read_bytes() if path.exists() else b""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data.draw(contents(was)))
    try:
        with hostile_stores.within(20):
            found = CliRunner().invoke(build(), [*command.split(), "--store", str(bad.store)])
    finally:
        if was:
            path.write_bytes(was)
        else:
            path.unlink()
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    assert found.exit_code in {0, 1, 2, 4, 5}
    assert not hostile_stores.CONTROL.search(found.output)
    if command.startswith("cloud ps"):
        assert "good" in found.stdout
