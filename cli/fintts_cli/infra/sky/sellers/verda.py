"""Verda. An instance that is shut down is `offline`: SkyPilot forgets it, and it is billed in
full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fintts_cli.infra.sky.sellers import Listed
from fintts_cli.infra.sky.sellers.answers import field, left_usd, moment, records, word

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

GONE = frozenset({"discontinued", "deleted"})
TIMEOUT_SECONDS = 40


class Verda:
    """https://api.verda.com/v1"""

    cloud, title, longest_name = "verda", "Verda", 120
    at_work = frozenset({"new", "ordered", "validating", "pending", "provisioning", "running"})
    ending = frozenset({"deleting"})

    def instances(self, sky: Any) -> Sequence[Listed]:
        # SkyPilot's own type for an instance leaves out when it was created.
        answer = _ask(sky, "/instances")
        found = (
            Listed(
                id=word(one, "id"),
                name=word(one, "hostname"),
                status=word(one, "status"),
                created_at=moment(one.get("created_at")),
            )
            for one in records(answer)
        )
        return [one for one in found if one.status not in GONE]

    def remove(self, sky: Any, instance_id: str) -> None:
        """Without `volume_ids`, the disk goes with it."""
        sky.adaptors.verda.VerdaClient().instance_action(instance_id, "delete")

    def balance_usd(self, sky: Any) -> Decimal | None:
        return left_usd(self.title, field(_ask(sky, "/balance"), "amount"))

    def is_on_sale(self, sky: Any, instance_type: str) -> bool | None:
        return _ask(sky, f"/instance-availability/{instance_type}") is True


def _ask(sky: Any, path: str) -> object:
    return sky.adaptors.verda._HTTPClient().get(path, timeout=TIMEOUT_SECONDS).json()
