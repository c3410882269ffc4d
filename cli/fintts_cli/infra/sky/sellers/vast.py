"""Vast, where a machine of a stranger that is stopped goes on billing for its disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fintts_cli.infra.sky.sellers import Listed
from fintts_cli.infra.sky.sellers.answers import field, left_usd, moment, word

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal


class Vast:
    """https://console.vast.ai/api"""

    cloud, title, longest_name = "vast", "Vast", 120
    at_work = frozenset({"CREATED", "LOADING", "RESTARTING", "RUNNING", "UNKNOWN"})
    """UNKNOWN: SkyPilot's word for one that has no state yet"""
    ending: frozenset[str] = frozenset()

    def instances(self, sky: Any) -> Sequence[Listed]:
        found = sky.provision.vast.utils.list_instances().items()
        return [
            Listed(
                id=str(instance_id),
                name=word(one, "name"),
                status=word(one, "status"),
                created_at=moment(one.get("start_date")),
            )
            for instance_id, one in found
        ]

    def remove(self, sky: Any, instance_id: str) -> None:
        sky.provision.vast.utils.remove(instance_id)

    def balance_usd(self, sky: Any) -> Decimal | None:
        return left_usd(self.title, field(sky.adaptors.vast.vast().show_user(), "credit"))

    def is_on_sale(self, sky: Any, instance_type: str) -> bool | None:
        return None
