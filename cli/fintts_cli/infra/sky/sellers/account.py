"""What a seller says of your account: what is left to spend, and whether it has a GPU to rent now.

Each question goes through SkyPilot's own client. A seller that SkyPilot has no such question for is
not asked.
"""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from fintts_cli.errors import CloudError
from fintts_cost.prices import amount

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TIMEOUT_SECONDS = 30
RUNPOD_BALANCE = "query { myself { clientBalance } }"


class Account(NamedTuple):
    """The questions that a seller answers; None for one that it does not."""

    balance: Callable[[Any], object] | None = None
    """what is left to spend, in dollars, as the seller writes it"""
    on_sale: Callable[[Any, str], bool] | None = None
    """whether an instance of this type could be rented now"""


def _of_verda(sky: Any, path: str) -> object:
    return sky.adaptors.verda._HTTPClient().get(path, timeout=TIMEOUT_SECONDS).json()


def _verda_balance(sky: Any) -> object:
    return _field(_of_verda(sky, "/balance"), "amount")


def _verda_on_sale(sky: Any, instance_type: str) -> bool:
    return _of_verda(sky, f"/instance-availability/{instance_type}") is True


def _runpod_balance(sky: Any) -> object:
    graphql = sky.adaptors.runpod.runpod.api.graphql
    data = _field(graphql.run_graphql_query(RUNPOD_BALANCE), "data")
    return _field(_field(data, "myself"), "clientBalance")


def _vast_balance(sky: Any) -> object:
    return _field(sky.adaptors.vast.vast().show_user(), "credit")


def _lambda_on_sale(sky: Any, instance_type: str) -> bool:
    client = sky.provision.lambda_cloud.lambda_utils.LambdaCloudClient()
    offered = _field(client.list_catalog(), instance_type)
    return bool(_field(offered, "regions_with_capacity_available"))


ACCOUNTS: Mapping[str, Account] = MappingProxyType(
    {
        "lambda": Account(on_sale=_lambda_on_sale),
        "runpod": Account(_runpod_balance),
        "vast": Account(_vast_balance),
        "verda": Account(_verda_balance, _verda_on_sale),
    }
)


def balance_usd(sky: Any, cloud: str) -> Decimal | None:
    """What is left to spend there, 0 or more; None if the seller is not asked.

    Raises CloudError: the answer is no amount. Passes on whatever the seller's client raises.
    """
    ask = ACCOUNTS.get(cloud, Account()).balance
    if ask is None:
        return None
    said = ask(sky)
    if isinstance(said, int | float) and said <= 0:
        return Decimal(0)
    found = amount(said) if isinstance(said, str | int | float) else None
    if found is None:
        raise CloudError(f"{cloud} gave no amount for the balance of your account")
    return found


def is_on_sale(sky: Any, cloud: str, instance_type: str) -> bool | None:
    """Whether the seller has such an instance to rent now; None if it is not asked.

    Passes on whatever the seller's client raises.
    """
    ask = ACCOUNTS.get(cloud, Account()).on_sale
    return None if ask is None else ask(sky, instance_type)


def _field(answer: object, name: str) -> object:
    """A field of a seller's answer; None if there is none."""
    return cast("dict[str, object]", answer).get(name) if isinstance(answer, dict) else None
