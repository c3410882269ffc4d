"""Checks of a rented instance for `fintts doctor`: SkyPilot, the seller, its keys and its end."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from fintts_cli.errors import CliError, CloudError
from fintts_cli.estimate.gpus import none_offered, offers_by_gpu
from fintts_cli.infra.sky.aws import AWS
from fintts_cli.infra.sky.clouds import (
    ask_seller,
    check_clouds,
    describe_installation,
    other_version,
    usable_clouds,
    without_quota,
)
from fintts_cli.infra.sky.ending.ending import RUNPOD, ending_of
from fintts_cli.infra.sky.server.keys import lying_there
from fintts_cli.infra.sky.server.server import refuse_copied_keys
from fintts_cli.launch.preconditions import REAP_BY_CRON, refuse_endless, unarmed
from fintts_cli.online import is_online
from fintts_cli.places import cloud_of, clouds_named
from fintts_cli.views.units import counted
from fintts_cost.money import dollars
from fintts_store.probes.probes import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fintts_cli.infra.sky.sellers.account import Account
    from fintts_cli.settings.model import Settings
    from fintts_cli.settings.read import ReadSettings
    from fintts_cli.workplace.workplace import Workplace

OFFLINE = "this machine has no network"
PLACES_ASKED = 8
"""how many places to ask for their quota, cheapest first"""
POWER = "anyone who controls that machine can rent and end instances with it at your expense"
BY_ROLE = "no cloud key: an instance on AWS has the role skypilot-v1, which may use EC2 and S3"
OWN_KEY = "the pod has its own key, which works only for that pod"


@dataclass(frozen=True)
class RentalChecks:
    """Checks a launch on a rented instance.

    Args:
        open_here: gives this machine; what keeps it from being opened is a finding like others.
        found: the settings of the launch.
        find_home: gives the home folder, where the keys lie, in the same way.
    """

    open_here: Callable[[], Workplace]
    found: ReadSettings
    find_home: Callable[[], Path]

    def probes(self) -> list[tuple[str, Callable[[], Finding]]]:
        """Each check with its name."""
        return [
            ("SkyPilot", _skypilot),
            ("clouds", self._clouds),
            ("quota", self._quota),
            ("seller", self._seller),
            ("keys", self._keys),
            ("ending", self._ending),
        ]

    @property
    def _settings(self) -> Settings:
        return self.found.settings

    @property
    def _cloud(self) -> str | None:
        """The cloud that the settings name; None if SkyPilot chooses."""
        return cloud_of(self._settings.infra) or None

    @cached_property
    def _here(self) -> Workplace:
        return self.open_here()

    @property
    def _log(self) -> Path:
        return self._here.sky_log

    @cached_property
    def _places(self) -> list[tuple[str, str]]:
        """Where the run may go, cheapest first: infra and instance type."""
        found, missing = offers_by_gpu(self.found, self._here.offers())
        if not found:
            raise none_offered(self._settings.gpus, missing)
        offers = [offer for offer in found if offer.may_be_chosen and offer.region]
        places = [(f"{one.cloud}/{one.region}", one.instance_type) for one in offers]
        return list(dict.fromkeys(places))[:PLACES_ASKED]

    @cached_property
    def _is_online(self) -> bool:
        return is_online()

    def _clouds(self) -> Finding:
        if not self._is_online:  # SkyPilot would ask one server after the other
            raise CloudError(f"{OFFLINE}, so no cloud can be asked", "connect it, and try again")
        cloud = self._cloud
        clouds = check_clouds(cloud, self._log)
        if not clouds:
            raise CloudError(
                f"SkyPilot may not use {cloud or 'any cloud'}",
                f"`sky check {cloud or ''}".rstrip() + "` says what is missing",
            )
        return Finding(sentence=", ".join(clouds))

    def _quota(self) -> Finding:
        """Checks the account's quota; a cloud that does not tell its quota passes."""
        if not self._is_online:
            return Finding(Verdict.NOT_PROBED, OFFLINE)
        try:
            asked = self._places
            none = without_quota(asked, self._log, spot=self._settings.spot)
        except CliError as error:
            return Finding(Verdict.NOT_PROBED, error.message)
        if not none:
            return Finding(sentence=f"{counted(len(asked), 'place')} asked")
        wanted = self._settings.gpus.replace(",", " or ")
        said = f"this account has no quota for {wanted} in {', '.join(none)}"
        hint = "ask the cloud for quota, which may take days, or choose another --infra"
        return Finding(Verdict.FAILED if len(none) == len(asked) else Verdict.WARNING, said, hint)

    def _seller(self) -> Finding:
        """What the seller says of your account, and of the GPU, if SkyPilot can ask it."""
        if self._cloud is None:
            return Finding(Verdict.NOT_PROBED, "SkyPilot chooses the cloud: name one with --infra")
        if not self._is_online:
            return Finding(Verdict.NOT_PROBED, OFFLINE)
        try:
            types = dict.fromkeys(instance_type for _, instance_type in self._places)
        except CliError as error:
            return Finding(Verdict.NOT_PROBED, error.message)
        return seller_finding(self._cloud, ask_seller(self._cloud, types, self._log))

    def _keys(self) -> Finding:
        if self._cloud is None and not self._is_online:
            return Finding(Verdict.NOT_PROBED, f"{OFFLINE}: name a cloud with --infra")
        clouds = [self._cloud] if self._cloud else usable_clouds(self._log)
        return keys_finding(self._settings.infra, clouds, self.find_home())

    def _ending(self) -> Finding:
        return ending_finding(self._settings.infra, is_spot=self._settings.spot)


def _skypilot() -> Finding:
    said, tried = describe_installation(), other_version()
    if tried is not None:
        return Finding(Verdict.WARNING, f"{said}, not {tried}", f"pip install skypilot=={tried}")
    return Finding(sentence=said)


def keys_finding(infra: str | None, clouds: Sequence[str], home: Path) -> Finding:
    """Names the key files that will lie on the instance, and their power.

    Args:
        clouds: the cloud of the infra, else all that SkyPilot may use.

    Raises CloudError: SkyPilot's server would copy others as well.
    """
    refuse_copied_keys(home, clouds_named(infra))
    own = lying_there(home, clouds)
    if own:
        which = ", ".join(own) if cloud_of(infra) else f"one of {', '.join(own)}"
        return Finding(sentence=f"on the instance: {which}; {POWER}")
    none = "no cloud key is on the instance"
    return Finding(sentence={AWS: BY_ROLE, RUNPOD: f"{none}: {OWN_KEY}"}.get(cloud_of(infra), none))


def ending_finding(infra: str | None, *, is_spot: bool) -> Finding:
    """Says what ends the instance, and what if this machine is shut.

    Raises CloudError: nothing would end it.
    """
    refuse_endless(infra, is_spot=is_spot)
    said = f"{ending_of(infra).by}, even with this machine off"
    danger = unarmed(infra, is_spot=is_spot)
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
