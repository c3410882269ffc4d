"""Everything with our label in the clouds, as SkyPilot and the clouds themselves list it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CloudError
from fintts_cli.infra import Census, Holder, Sighting
from fintts_cli.infra.labels import deadline_of
from fintts_cli.infra.sky.aws import AWS, list_labelled
from fintts_cli.infra.sky.ending.ending import ending_of
from fintts_cli.infra.sky.rentals.job import live_jobs
from fintts_cli.infra.sky.rentals.record import SkyRecord, deadline_in, place, run_of
from fintts_cli.infra.sky.sellers.desk import (
    ANSWERS_WITHIN_SECONDS,
    is_named,
    is_of_job,
    sellers_of,
    sightings_of,
)
from fintts_cli.infra.sky.server.errors import in_a_sentence, is_out_of_reach
from fintts_cli.infra.sky.server.queries import enabled_clouds
from fintts_cli.infra.sky.server.requests import pending_launches
from fintts_cli.places import OWN_CLUSTERS
from fintts_cli.timed_call import TimedCall
from fintts_templates import has_autostop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fintts_cli.infra.sky.sellers import Seller

    Answer = Callable[[], list[Sighting]]


CLOUD_ANSWERS_WITHIN_SECONDS = 2 * ANSWERS_WITHIN_SECONDS
"""A seller's own question has its limit; AWS is asked for its regions, then in each of them."""


def take_census(sky: Any, log: Path, records: Sequence[SkyRecord] = ()) -> Census:
    """Asks SkyPilot's server for its clusters and jobs, and each cloud whose list we can read.

    If the server is out of reach, the census holds one sentence saying so, and nothing else is
    asked.

    Args:
        sky: SkyPilot's SDK.
        log: the file for its output.
        records: what this machine launched, which SkyPilot may list under shortened names.
    """
    unanswered: list[str] = []
    try:
        clouds = enabled_clouds(sky)
    except Exception as error:  # may be any kind of error, as below
        sentence = in_a_sentence(error, log).message
        if is_out_of_reach(error):
            return Census((), (sentence,))
        unanswered.append(f"SkyPilot could not be asked which clouds it may use: {sentence}")
        clouds = set[str]()

    def ask(whom: str, answer: Answer) -> list[Sighting]:
        try:
            return answer()
        except Exception as error:  # SkyPilot, the cloud or the network may fail in any way
            sentence = in_a_sentence(error, log).message
            unanswered.append(f"{whom} could not be asked for instances: {sentence}")
            return []

    # The clouds answer at the same time, and while SkyPilot does: each may take a minute.
    sellers = sellers_of(sky, clouds)
    listings = [
        _begun(seller.title, partial(sightings_of, sky, seller, records)) for seller in sellers
    ]
    aws = _begun("AWS", partial(list_labelled, sky)) if AWS in clouds else None
    known = [
        *ask("SkyPilot", partial(_clusters, sky)),
        *ask("SkyPilot's list of jobs", partial(live_jobs, sky, records)),
    ]
    in_aws = ask("AWS", aws.result) if aws is not None else []
    strangers = [one for one in in_aws if not _is_known(one, in_aws, known)]
    for seller, listing in zip(sellers, listings, strict=True):
        listed = ask(seller.title, listing.result)
        known, unknown = _with_the_seller_s_word(sky, seller, known, listed)
        strangers += unknown
    unread = sorted(clouds - OWN_CLUSTERS - {AWS, *(seller.cloud for seller in sellers)})
    remarks = [f"on {cloud}, fintts sees only what SkyPilot knows of" for cloud in unread]
    return Census((*known, *strangers), tuple(unanswered), tuple(remarks))


def _begun(whom: str, answer: Answer) -> TimedCall[list[Sighting]]:
    """The question to a cloud, which a thread asks."""
    return TimedCall(whom, answer, CLOUD_ANSWERS_WITHIN_SECONDS, CloudError)


def _with_the_seller_s_word(
    sky: Any, seller: Seller, known: Sequence[Sighting], listed: Sequence[Sighting]
) -> tuple[list[Sighting], list[Sighting]]:
    """What SkyPilot knows, with the seller's trouble about it; and what only the seller knows."""
    told, met = list[Sighting](), set[str]()
    for one in known:
        same = [other for other in listed if _is_same(sky, seller, one, other)]
        met |= {other.where for other in same}
        trouble = next((other.trouble for other in same if other.trouble), one.trouble)
        told.append(replace(one, trouble=trouble))
    return told, [other for other in listed if other.where not in met]


def _is_same(sky: Any, seller: Seller, known: Sighting, listed: Sighting) -> bool:
    if known.holder == Holder.CLUSTER:
        return is_named(sky, seller, listed.name or "", known.where)
    return is_of_job(sky, listed.name or "", known.where)


def _clusters(sky: Any) -> list[Sighting]:
    """The live clusters; each one's cloud is asked whether it still exists.

    A launch sets the autodown last, just before it gives the cluster its job; a cluster without an
    autodown would never end, unless its job has armed its end.
    """
    launching = _being_launched(sky)
    found: list[Any] = sky.get(sky.status(refresh=sky.StatusRefreshMode.FORCE))
    launching |= _being_launched(sky)  # also launches that have started since
    return [
        Sighting(
            run=run,
            holder=Holder.CLUSTER,
            where=cluster.name,
            infra=place(cluster.cloud, cluster.region),
            created_at=datetime.fromtimestamp(cluster.launched_at, UTC),
            instance_since=datetime.fromtimestamp(cluster.launched_at, UTC),
            deadline_at=deadline_of(cluster.labels) or deadline_in(cluster.name),
            is_cut_off=cluster.name not in launching and _is_endless(sky, cluster),
        )
        for cluster in found
        if (run := run_of(cluster.name)) is not None
    ]


def _is_endless(sky: Any, cluster: Any) -> bool:
    """Whether nothing would end it. What arms its end in set-up has a job; without an answer from
    the instance, it has one."""
    if cluster.autostop >= 0:
        return False
    if has_autostop(ending_of(str(cluster.cloud)).arming):
        return True
    try:
        return not sky.get(sky.queue(cluster.name))
    except Exception:  # SSH may fail in any way
        return False


def _being_launched(sky: Any) -> set[str]:
    return {request.cluster_name for request in pending_launches(sky)}


def _is_known(one: Sighting, in_cloud: Sequence[Sighting], known: Sequence[Sighting]) -> bool:
    """Whether it is the instance that SkyPilot knows for that run: there is one per run, and
    SkyPilot's is the newest."""
    newest = max(
        (other for other in in_cloud if other.run == one.run), key=lambda other: other.created_at
    )
    return one is newest and any(other.run == one.run for other in known)
