"""Lambda, which bills an instance until it is terminated, also an unhealthy one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fintts_cli.infra.sky.sellers import Listed
from fintts_cli.infra.sky.sellers.answers import field, records, word

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

GONE = frozenset({"terminated", "preempted"})


class Lambda:
    """https://cloud.lambdalabs.com/api/v1"""

    cloud, title, longest_name = "lambda", "Lambda", 57
    at_work = frozenset({"booting", "active"})
    ending = frozenset({"terminating"})

    def instances(self, sky: Any) -> Sequence[Listed]:
        client = sky.provision.lambda_cloud.lambda_utils.LambdaCloudClient()
        found = (
            Listed(word(one, "id"), word(one, "name"), word(one, "status"))
            for one in records(client.list_instances())
        )
        return [one for one in found if one.status not in GONE]

    def remove(self, sky: Any, instance_id: str) -> None:
        client = sky.provision.lambda_cloud.lambda_utils.LambdaCloudClient()
        client.remove_instances([instance_id])

    def balance_usd(self, sky: Any) -> Decimal | None:
        return None

    def is_on_sale(self, sky: Any, instance_type: str) -> bool | None:
        client = sky.provision.lambda_cloud.lambda_utils.LambdaCloudClient()
        offered = field(client.list_catalog(), instance_type)
        return bool(field(offered, "regions_with_capacity_available"))
