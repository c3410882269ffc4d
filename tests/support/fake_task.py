"""SkyPilot's task and its resources, as far as a launch reads and changes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Resources:
    """SkyPilot's, as far as they are read."""

    accelerators: dict[str, int]
    max_hourly_cost: float | None = 2.0
    use_spot: bool = False
    infra: str | None = None
    cloud: str | None = None
    region: str | None = None

    def copy(self, *, cloud: None, region: None, zone: None, infra: str) -> Resources:
        assert cloud is region is zone is None
        name, _, place = infra.partition("/")
        return Resources(
            self.accelerators, self.max_hourly_cost, self.use_spot, infra, name, place or None
        )


class Task:
    def __init__(self, *resources: Resources) -> None:
        self.resources = list(resources)

    def set_resources(self, resources: list[Resources]) -> None:
        self.resources = resources
