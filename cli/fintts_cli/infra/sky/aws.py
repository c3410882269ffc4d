"""AWS's own list of instances with our label; it includes those that SkyPilot has forgotten.

SkyPilot's client makes the connection, so it uses the same profile and credentials.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CloudError
from fintts_cli.infra import Holder, Sighting
from fintts_cli.infra.labels import RUN_LABEL, deadline_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

AWS = "aws"
HOME_REGION = "us-east-1"
"""the region that lists the other regions"""
BILLED_STATES = ["pending", "running", "stopping", "stopped"]
"""The disk of a stopped instance is billed."""
REMEMBERED_STATES = [*BILLED_STATES, "shutting-down", "terminated"]
"""AWS lists an instance for about an hour after it is gone."""
REGIONS_AT_ONCE = 8
GONE_WITHIN_SECONDS = 600.0
"""A large instance takes minutes to shut down."""
POLL_SECONDS = 2.0


def list_labelled(sky: Any, states: Sequence[str] = BILLED_STATES) -> list[Sighting]:
    """Every instance in the account with our label, in all of its regions."""
    asked = _client(sky, HOME_REGION).describe_regions()["Regions"]
    regions = [region["RegionName"] for region in asked]
    with ThreadPoolExecutor(REGIONS_AT_ONCE) as threads:
        found = threads.map(partial(_in_region, sky, states), regions)
        return [sighting for sightings in found for sighting in sightings]


def never_came(sky: Any, run: str, deadline_at: datetime) -> bool:
    """Whether AWS knows no instance with these labels, not even one that is gone."""
    seen = list_labelled(sky, REMEMBERED_STATES)
    return not any((one.run, one.deadline_at) == (run, deadline_at) for one in seen)


def _in_region(sky: Any, states: Sequence[str], region: str) -> list[Sighting]:
    filters = [
        {"Name": "tag-key", "Values": [RUN_LABEL]},
        {"Name": "instance-state-name", "Values": list(states)},
    ]
    pages = _client(sky, region).get_paginator("describe_instances").paginate(Filters=filters)
    return [_sighting(instance, region) for page in pages for instance in _instances(page)]


def _instances(page: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for reservation in page["Reservations"]:
        yield from reservation["Instances"]


def _sighting(instance: dict[str, Any], region: str) -> Sighting:
    labels = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
    return Sighting(
        run=labels[RUN_LABEL],
        holder=Holder.CLOUD,
        where=instance["InstanceId"],
        infra=f"{AWS}/{region}",
        created_at=instance["LaunchTime"],
        instance_since=instance["LaunchTime"],
        deadline_at=deadline_of(labels),
    )


def terminate(sky: Any, sighting: Sighting) -> None:
    """Returns once AWS reports the instance as terminated.

    Raises CloudError: AWS does not report it within ten minutes.
    """
    client = _client(sky, sighting.infra.partition("/")[2])
    client.terminate_instances(InstanceIds=[sighting.where])
    deadline = time.monotonic() + GONE_WITHIN_SECONDS
    while (state := _state(client, sighting.where)) != "terminated":
        if time.monotonic() > deadline:
            raise CloudError(f"AWS got the request to terminate it, but it is still {state}")
        time.sleep(POLL_SECONDS)


def end_with_shutdown(sky: Any, region: str, labels: Mapping[str, str]) -> None:
    """Makes AWS terminate these instances, not just stop them, when they power themselves off."""
    client = _client(sky, region)
    filters = [
        *({"Name": f"tag:{name}", "Values": [value]} for name, value in labels.items()),
        {"Name": "instance-state-name", "Values": BILLED_STATES},
    ]
    for page in client.get_paginator("describe_instances").paginate(Filters=filters):
        for instance in _instances(page):
            client.modify_instance_attribute(
                InstanceId=instance["InstanceId"],
                Attribute="instanceInitiatedShutdownBehavior",
                Value="terminate",
            )


def _state(client: Any, instance_id: str) -> str:
    page = client.describe_instances(InstanceIds=[instance_id])
    return next((str(one["State"]["Name"]) for one in _instances(page)), "terminated")


def _client(sky: Any, region: str) -> Any:
    return sky.adaptors.aws.client("ec2", region_name=region)
