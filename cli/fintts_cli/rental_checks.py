"""Checks of a rented instance for `fintts doctor`: what lies on it, and what ends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.ending import ending_of
from fintts_cli.infra.sky.keys import AWS, lying_there, not_held_back
from fintts_cli.infra.sky.server import server_that_asks_the_hub
from fintts_cli.launch.preconditions import MOVE_KEYS_AWAY, REAP_BY_CRON, unarmed
from fintts_cost.money import dollars
from fintts_store.probes import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fintts_cli.infra.sky.clouds import SellerSays

POWER = "whoever controls that machine can rent and end instances with it at your expense"
BY_ROLE = "no key of a cloud: an instance on AWS has the role skypilot-v1, which may use EC2 and S3"


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
        """Names the key files that will lie on the instance, and their power."""
        own = lying_there(self.home, self.clouds)
        lies = f"on the instance: {', '.join(own)}; {POWER}" if own else BY_ROLE
        if not own and list(self.clouds) != [AWS]:
            lies = "no key of a cloud lies on the instance"
        others = not_held_back(self.home, self.clouds, is_spot=self.is_spot)
        if (server := server_that_asks_the_hub()) is not None:
            return Finding(
                Verdict.WARNING,
                f"{lies}; SkyPilot's server (process {server}) was started by another program and "
                "copies your Hugging Face token to every instance",
                "`sky api stop`: the next `fintts` command starts one that does not",
            )
        if others:
            return Finding(
                Verdict.WARNING,
                f"{lies}; SkyPilot copies {', '.join(others)} as well",
                MOVE_KEYS_AWAY,
            )
        return Finding(sentence=lies)

    def ending(self) -> Finding:
        """Says what ends the instance, and what if this machine is shut."""
        ending = ending_of(self.infra)
        if self.is_spot and not ending.has_managed_jobs:
            raise CloudError(
                f"SkyPilot rents no spot instance on {self.infra} that it could end",
                "--on-demand, or another --infra",
            )
        said = f"{ending.by}, also with this machine shut"
        danger = unarmed(self.infra)
        if danger is None:
            return Finding(sentence=said)
        return Finding(sentence=f"{said}; but {danger}", hint=REAP_BY_CRON)


def seller_finding(cloud: str, says: SellerSays) -> Finding:
    """What is left on the account, and which instances could be rented now."""
    balance = says.balance_usd
    if balance is None and not says.on_sale:
        return Finding(Verdict.NOT_PROBED, f"{cloud} tells nothing of it through SkyPilot's client")
    left = [] if balance is None else [f"{dollars(balance)} left on {cloud}"]
    sold_out = [name for name, has in says.on_sale.items() if not has]
    has = [f"{name} to be had now" for name, has in says.on_sale.items() if has]
    said = "; ".join([*left, *has, *(f"{name} sold out" for name in sold_out)])
    if balance == 0:
        return Finding(Verdict.FAILED, said, "pay something in there, or take another --infra")
    if sold_out:
        hint = "try later, or another --infra; `fintts cloud offers` lists them"
        return Finding(Verdict.WARNING if has else Verdict.FAILED, said, hint)
    return Finding(sentence=said)
