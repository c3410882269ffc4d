"""Checks of a rented instance for `fintts doctor`: what lies on it, and what ends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.infra.sky.aws import AWS
from fintts_cli.infra.sky.ending import RUNPOD, ending_of
from fintts_cli.infra.sky.keys import lying_there
from fintts_cli.infra.sky.server import refuse_copied_keys
from fintts_cli.launch.preconditions import REAP_BY_CRON, refuse_endless, unarmed
from fintts_cli.places import cloud_of, clouds_named
from fintts_cost.money import dollars
from fintts_store.probes import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fintts_cli.infra.sky.sellers.account import Account

POWER = "anyone who controls that machine can rent and end instances with it at your expense"
BY_ROLE = "no key of a cloud: an instance on AWS has the role skypilot-v1, which may use EC2 and S3"
OWN_KEY = "the pod has a key of its own, which opens that pod alone"


@dataclass(frozen=True, slots=True)
class RentalChecks:
    """What a launch with these settings leaves on the instance, and what ends it.

    Args:
        infra: as in `--infra`; None if SkyPilot chooses.
        clouds: the cloud of the infra, else all that SkyPilot may use.
    """

    infra: str | None
    clouds: Sequence[str]
    is_spot: bool
    home: Path

    def keys(self) -> Finding:
        """Names the key files that will lie on the instance, and their power.

        Raises CloudError: SkyPilot's server would copy others as well.
        """
        refuse_copied_keys(self.home, clouds_named(self.infra))
        own = lying_there(self.home, self.clouds)
        if own:
            which = ", ".join(own) if cloud_of(self.infra) else f"one of {', '.join(own)}"
            return Finding(sentence=f"on the instance: {which}; {POWER}")
        if list(self.clouds) == [AWS]:
            return Finding(sentence=BY_ROLE)
        none = "no key of a cloud lies on the instance"
        has_own = list(self.clouds) == [RUNPOD]
        return Finding(sentence=f"{none}: {OWN_KEY}" if has_own else none)

    def ending(self) -> Finding:
        """Says what ends the instance, and what if this machine is shut.

        Raises CloudError: nothing would end it.
        """
        refuse_endless(self.infra, is_spot=self.is_spot)
        said = f"{ending_of(self.infra).by}, also with this machine shut"
        danger = unarmed(self.infra, is_spot=self.is_spot)
        if danger is None:
            return Finding(sentence=said)
        return Finding(sentence=f"{said}; but {danger}", hint=REAP_BY_CRON)


def seller_finding(cloud: str, says: Account) -> Finding:
    """What is left on the account, and which instances could be rented now."""
    balance = says.balance_usd
    if balance is None and not says.on_sale:
        return Finding(
            Verdict.NOT_PROBED,
            f"SkyPilot's client for {cloud} reports neither balance nor availability",
        )
    left = [] if balance is None else [f"{dollars(balance)} left on {cloud}"]
    sold_out = [name for name, has in says.on_sale.items() if not has]
    has = [f"{name} available now" for name, has in says.on_sale.items() if has]
    said = "; ".join([*left, *has, *(f"{name} sold out" for name in sold_out)])
    if balance == 0:
        return Finding(Verdict.FAILED, said, "add funds to that account, or choose another --infra")
    if sold_out:
        hint = "try later, or choose another --infra; `fintts cloud offers` lists them"
        return Finding(Verdict.WARNING if has else Verdict.FAILED, said, hint)
    return Finding(sentence=said)
