"""Opens the clouds' doors and keeps one namespace for each instance that any of them calls running.

A process of its own, so that moto shares neither interpreter nor warnings with a test; it ends when
its standard input does. Its only output is a line when all of it is up.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rig import console, internet, network
from rig.doors import hub
from rig.doors.ec2 import Ec2
from rig.doors.lambda_cloud import Lambda
from rig.doors.runpod import RunPod
from rig.doors.stock import Counter, Seller
from rig.doors.verda import Verda
from rig.instance import Instance, Machine
from rig.wanted import Door

LOOK_EVERY_SECONDS = 0.1


def main() -> None:
    folder, image, packages = map(Path, sys.argv[1:4])
    disk_size, regions = sys.argv[4], sys.argv[5:]
    machine = Machine(image, packages, disk_size, internet.certificate(folder))
    with ExitStack() as stack:
        network.raise_bridge()
        stack.callback(network.remove_bridge)
        sellers: list[Seller] = [Verda(), RunPod(), Lambda()]
        console.serve(sellers)
        counters = {seller.host: Counter(seller) for seller in sellers}
        internet.serve(folder, {hub.HOST: hub.Hub(), **counters})
        doors = [Ec2(folder, regions), *sellers]
        hypervisor = Hypervisor(machine, folder / "instances", doors)
        stack.callback(hypervisor.destroy_all)
        print("up", flush=True)  # noqa: T201 - the line that is waited for
        while not select.select([sys.stdin], [], [], LOOK_EVERY_SECONDS)[0]:
            hypervisor.reconcile()


class Hypervisor:
    """Makes what runs here follow what the clouds say."""

    def __init__(self, machine: Machine, folder: Path, doors: Sequence[Door]) -> None:
        self._machine, self._folder = machine, folder
        self._running: list[tuple[Door, dict[str, Instance]]] = [(door, {}) for door in doors]

    def reconcile(self) -> None:
        """Boots what a cloud calls running, destroys the rest."""
        for door, running in self._running:
            for instance_id, instance in running.items():
                if instance.is_off:
                    door.note_power_off(instance_id)
            wanted = {one.id: one for one in door.wanted()}
            for instance_id in running.keys() - wanted.keys():
                running.pop(instance_id).destroy()
            for instance_id in wanted.keys() - running.keys():
                booted = Instance(wanted[instance_id], self._machine, self._folder)
                running[instance_id] = booted

    def destroy_all(self) -> None:
        for _, running in self._running:
            while running:
                running.popitem()[1].destroy()


if __name__ == "__main__":
    main()
