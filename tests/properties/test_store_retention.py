"""Retention and the names of commits, for any history of a run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fintts_store.checkpoints.manifest import Manifest, ManifestFile, load_commit
from fintts_store.checkpoints.retention import best_of, newest_of, plan_retention
from fintts_store.layout import CommitName, parse_commit_name

finite = st.floats(allow_nan=False, allow_infinity=False)


def manifest(claim: int, step: int, value: float | None) -> Manifest:
    return Manifest(
        run="tiny",
        claim=claim,
        step=step,
        id=f"{claim:04x}{step % 65536:04x}",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        config_digest="c",
        base_model_digest="b",
        monitor="val/loss",
        mode="min",
        value=value,
        files=(ManifestFile(name="adapter_model.safetensors", size_bytes=1, sha256="0" * 64),),
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Manifest]:
    """Claims one after the other, each going on from a step that the one before had reached."""
    found: list[Manifest] = []
    start = 0
    for claim in range(1, draw(st.integers(1, 4)) + 1):
        count = draw(st.integers(0, 8))
        for step in range(start + 1, start + count + 1):
            found.append(manifest(claim, step * 100, draw(st.none() | finite)))
        start = draw(st.integers(0, start + count))
    return draw(st.permutations(found))


@given(histories(), st.integers(1, 6), st.booleans())
def test_the_newest_and_the_best_stay(
    history: list[Manifest], keep_last: int, keep_best: bool
) -> None:
    plan = plan_retention(history, keep_last=keep_last, keep_best=keep_best)
    kept = [each.manifest for each in plan.keep]
    assert sorted([*kept, *plan.remove], key=lambda m: m.name) == sorted(
        history, key=lambda m: m.name
    )
    if history:
        assert newest_of(history) in kept
    best = best_of(history)
    if keep_best and best is not None:
        assert best in kept
    assert len(kept) <= keep_last + 1
    assert len({m.step for m in kept}) >= min(keep_last, len({m.step for m in history}))


@given(histories(), st.integers(1, 6))
def test_it_is_idempotent(history: list[Manifest], keep_last: int) -> None:
    kept = [m.manifest for m in plan_retention(history, keep_last=keep_last, keep_best=True).keep]
    assert plan_retention(kept, keep_last=keep_last, keep_best=True).remove == ()


def test_keeping_none_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        plan_retention([manifest(1, 100, None)], keep_last=0, keep_best=True)


@given(histories(), st.data())
def test_the_resume_point_stays(history: list[Manifest], data: st.DataObject) -> None:
    if history:
        point = data.draw(st.sampled_from(history))
        plan = plan_retention(history, keep_last=1, keep_best=False, resume_point=point.id)
        assert point in [each.manifest for each in plan.keep]


@given(st.lists(st.tuples(st.integers(0, 999_999), st.integers(0, 10**9 - 1)), max_size=20))
def test_names_sort_as_their_numbers(pairs: list[tuple[int, int]]) -> None:
    names = [CommitName(claim, step, "0123abcd") for claim, step in pairs]
    assert sorted(names) == sorted(names, key=lambda name: name.text)
    assert [parse_commit_name(f"{name.text}.json") for name in names] == names


@given(st.none() | finite)
def test_a_manifest_survives_its_text(value: float | None) -> None:
    whole = manifest(3, 100, value)
    assert load_commit(whole.dump().encode(), "x") == whole


def test_reasons_read_well(golden: Callable[[str, str], None]) -> None:
    """The reference run's last checks: keep-last-5 alone would have lost the best."""
    losses = {2800: 13.0, 2900: 13.01, 3000: 13.005, 3100: 13.02, 3200: 13.015, 3300: 13.025}
    history = [manifest(1, 2700, 13.05), *(manifest(1, s, v) for s, v in losses.items())]
    plan = plan_retention(history, keep_last=5, keep_best=True)
    kept = [f"keep {each.manifest.step}: {', '.join(each.reasons)}" for each in plan.keep]
    gone = [f"remove {each.step}" for each in plan.remove]
    golden("retention_reference_run.txt", "\n".join([*kept, *gone]) + "\n")


@given(histories(), st.integers(1, 6), st.booleans(), st.data())
def test_pins_stay_and_displace_nothing(
    history: list[Manifest], keep_last: int, keep_best: bool, data: st.DataObject
) -> None:
    pinned = data.draw(st.sets(st.sampled_from([m.name for m in history]))) if history else set()
    without = plan_retention(history, keep_last=keep_last, keep_best=keep_best)
    plan = plan_retention(history, keep_last=keep_last, keep_best=keep_best, pinned=pinned)
    kept = {each.manifest.name for each in plan.keep}
    assert kept == pinned | {each.manifest.name for each in without.keep}


HISTORIES: dict[str, tuple[list[Manifest], str | None, set[tuple[int, int]]]] = {
    "the best is an old one": (
        [manifest(1, step, abs(step - 200) / 100) for step in range(100, 800, 100)],
        None,
        set(),
    ),
    "a preemption: claim 2 goes on from 300 and trains 400 again": (
        [manifest(1, s, 5.0 - s / 1000) for s in (100, 200, 300, 400)]
        + [manifest(2, s, 5.0 - s / 1000) for s in (400, 500)],
        "0001012c",
        set(),
    ),
    "two pins, one of them among the last": (
        [manifest(1, step, None) for step in range(100, 700, 100)],
        None,
        {(1, 200), (1, 600)},
    ),
    "equal values, and one that is not a number": (
        [manifest(1, s, v) for s, v in ((100, 1.0), (200, 1.0), (300, float("nan")), (400, 2.0))],
        None,
        set(),
    ),
}


def test_policies_read_well(golden: Callable[[str, str], None]) -> None:
    lines: list[str] = []
    for title, (history, resume_point, pins) in HISTORIES.items():
        pinned = {m.name for m in history if (m.claim, m.step) in pins}
        for keep_last, keep_best in ((1, True), (2, True), (3, False)):
            plan = plan_retention(
                history,
                keep_last=keep_last,
                keep_best=keep_best,
                resume_point=resume_point,
                pinned=pinned,
            )
            best = "and the best" if keep_best else "alone"
            lines.append(f"{title}; keep the last {keep_last} {best}")
            kept = {each.manifest.name: ", ".join(each.reasons) for each in plan.keep}
            lines += [
                f"  {m.claim} {m.step} {f'keep: {kept[m.name]}' if m.name in kept else 'remove'}"
                for m in sorted(history, key=lambda m: m.name)
            ]
    golden("retention_policies.txt", "\n".join(lines) + "\n")
