"""What is known about a launch that failed: SkyPilot's words, and whether an instance ever came."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fintts_cli.errors import CloudError
from fintts_cli.infra.sky.aws import AWS, never_came
from fintts_cli.infra.sky.launch.refusals import answers_in, is_of_places, is_refused_everywhere
from fintts_cli.infra.sky.sellers.desk import SELLERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from fintts_cli.infra.sky.rentals.folders import RunFolders
    from fintts_cli.infra.sky.rentals.waiting import Requesting


@dataclass(frozen=True, slots=True)
class FailedLaunch:
    """The launch of a run whose record is in its folder.

    Args:
        open_sky: opens SkyPilot's SDK.
    """

    run: str
    folders: RunFolders
    rental: Requesting
    open_sky: Callable[[], AbstractContextManager[Any]]

    def said(self, error: BaseException, before_bytes: int) -> str:
        """SkyPilot's output since the launch began, and what it noted for itself of the places that
        it tried in vain. It forgets the notes of a cluster with the cluster. They name no place, so
        they are not read where the output has a reason of another.

        Args:
            before_bytes: the size of SkyPilot's output when the launch began.
        """
        said = self.folders.said_since(self.run, before_bytes)
        if not is_of_places(error) or answers_in(said):
            return said
        with suppress(CloudError), self.open_sky() as sky:
            record = self.folders.read(self.run)
            said += f"\n{self.rental.said(sky, record)}" if record is not None else ""
        return said

    def note_whether_it_came(self, cloud: str, said: str) -> None:
        """Records that no instance ever came. AWS can tell this about one that is gone. Of a
        seller without zones it is known if each place refused; otherwise one is billed. A managed
        job asks each place again and again, so it is not known of that."""
        with suppress(Exception), self.open_sky() as sky:  # either may fail in any way
            last = self.folders.find(self.run)
            if last is None:
                return
            is_of_seller = cloud in {seller.cloud for seller in SELLERS}
            is_none = is_of_seller and last.job is None and is_refused_everywhere(said)
            if cloud == AWS and last.deadline_at is not None:
                is_none = never_came(sky, self.run, last.deadline_at)
            if is_none:
                self.folders.write(last.model_copy(update={"never_came": True}))
