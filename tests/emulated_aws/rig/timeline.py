"""When what happened, for a reader."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Timeline:
    """Moments by name, in seconds since the epoch."""

    title: str
    moments: dict[str, float] = field(default_factory=dict[str, float])

    def mark(self, name: str, at: float | None = None) -> None:
        """Notes the moment, now if not told when; the first mark of a name counts."""
        self.moments.setdefault(name, time.time() if at is None else at)

    def table(self) -> str:
        """A line each: seconds since the first moment, and since the one before."""
        ordered = sorted(self.moments.items(), key=lambda moment: moment[1])
        lines = [f"{self.title}: seconds since the first moment, and since the one before"]
        first = before = ordered[0][1] if ordered else 0.0
        for name, at in ordered:
            lines.append(f"{at - first:8.1f} {at - before:+8.1f}  {name}")
            before = at
        return "\n".join(lines)
