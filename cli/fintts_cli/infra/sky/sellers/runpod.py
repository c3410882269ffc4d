"""RunPod. A pod that EXITED, or was outbid, goes on billing for its disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fintts_cli.infra.sky.sellers import Listed
from fintts_cli.infra.sky.sellers.answers import field, left_usd, word

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

GONE = "TERMINATED"
BALANCE = "query { myself { clientBalance } }"


class RunPod:
    """https://api.runpod.io/graphql"""

    cloud, title, longest_name = "runpod", "RunPod", 120
    at_work = frozenset({"CREATED", "RESTARTING", "RUNNING"})
    ending: frozenset[str] = frozenset()

    def instances(self, sky: Any) -> Sequence[Listed]:
        found = (
            Listed(str(pod), word(one, "name"), word(one, "status"))
            for pod, one in sky.provision.runpod.utils.list_instances().items()
        )
        return [one for one in found if one.status != GONE]

    def remove(self, sky: Any, instance_id: str) -> None:
        sky.provision.runpod.utils.remove(instance_id)

    def balance_usd(self, sky: Any) -> Decimal | None:
        answer = sky.adaptors.runpod.runpod.api.graphql.run_graphql_query(BALANCE)
        said = field(field(field(answer, "data"), "myself"), "clientBalance")
        return left_usd(self.title, said)

    def is_on_sale(self, sky: Any, instance_type: str) -> bool | None:
        return None
