"""Verda. An instance that is shut down is `offline`: SkyPilot forgets it, and it is billed in
full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fintts_cli.infra.sky.sellers import Listed
from fintts_cli.infra.sky.sellers.answers import moment, records, word

if TYPE_CHECKING:
    from collections.abc import Sequence

GONE = frozenset({"discontinued", "deleted"})
TIMEOUT_SECONDS = 40


class Verda:
    """https://api.verda.com/v1"""

    cloud, title, longest_name = "verda", "Verda", 120
    at_work = frozenset({"new", "ordered", "validating", "pending", "provisioning", "running"})
    ending = frozenset({"deleting"})

    def instances(self, sky: Any) -> Sequence[Listed]:
        # SkyPilot's own type for an instance leaves out when it was created.
        answer = sky.adaptors.verda._HTTPClient().get("/instances", timeout=TIMEOUT_SECONDS)
        found = (
            Listed(
                id=word(one, "id"),
                name=word(one, "hostname"),
                status=word(one, "status"),
                created_at=moment(one.get("created_at")),
            )
            for one in records(answer.json())
        )
        return [one for one in found if one.status not in GONE]

    def remove(self, sky: Any, instance_id: str) -> None:
        """Without `volume_ids`, the disk goes with it."""
        sky.adaptors.verda.VerdaClient().instance_action(instance_id, "delete")
