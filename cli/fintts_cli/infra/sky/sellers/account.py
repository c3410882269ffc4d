"""What a seller says of your account: what is left to spend, and which GPUs it has to rent now."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from fintts_cli.infra.sky.sellers.desk import (
    ANSWERS_WITHIN_SECONDS,
    in_time,
    listed_by,
    sellers_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal


class Account(NamedTuple):
    """What the seller itself says of your account, as far as SkyPilot's client can ask."""

    balance_usd: Decimal | None
    """what is left to spend, 0 or more; None if it is not asked"""
    on_sale: dict[str, bool]
    """instance type → whether one could be rented now; those that it was asked about"""


def account_at(
    sky: Any,
    cloud: str,
    types: Iterable[str],
    within_seconds: float = ANSWERS_WITHIN_SECONDS,
) -> Account:
    """Asks the seller about the account, and about instances of these types.

    Empty if it is none that we ask, or if SkyPilot's server, and with it your keys, is elsewhere.

    Raises CloudError: the seller refuses, does not answer in time, or answers nonsense.
    """
    for seller in sellers_of(sky, [cloud]):
        listed_by(sky, seller, within_seconds)  # no seller answers this without a valid key
        asked = {
            each: in_time(seller, partial(seller.is_on_sale, sky, each), within_seconds)
            for each in types
        }
        on_sale = {name: has for name, has in asked.items() if has is not None}
        balance_usd = in_time(seller, partial(seller.balance_usd, sky), within_seconds)
        return Account(balance_usd, on_sale)
    return Account(None, {})
