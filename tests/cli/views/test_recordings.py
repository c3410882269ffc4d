"""What `data check` says about more recordings."""

from __future__ import annotations

from fintts_cli.views.data.recordings import more


def test_another_hour_is_counted_and_its_gain_is_not_invented() -> None:
    first, then = more(300, 1200.0, 8)
    assert first == (
        "  more        another hour like these is about 900 utterances, and 112 steps more an epoch"
    )
    assert "only a run shows" in then
    assert more(0, 0.0, 8) == []
