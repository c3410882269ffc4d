"""One notification: a JSON POST. It follows no redirect, since the body would go to a stranger.

The body:

    event     launched, forecast, new_best, budget, taken_away, ended or test
    run       the run's name
    text      the sentence, which Slack and Mattermost show
    content   the same, which Discord shows
    at        when it happened, in UTC
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from fintts_cost import __version__

if TYPE_CHECKING:
    from datetime import datetime
    from email.message import Message
    from typing import IO

TIMEOUT_SECONDS = 10.0
"""for the connection, and for each read of the answer"""


class Event(StrEnum):
    """What a notification is about."""

    LAUNCHED = "launched"
    FORECAST = "forecast"
    NEW_BEST = "new_best"
    BUDGET = "budget"
    TAKEN_AWAY = "taken_away"
    ENDED = "ended"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification."""

    event: Event
    run: str
    text: str
    at: datetime

    def dump(self) -> bytes:
        """The body that the module describes."""
        text = f"{self.run}: {self.text}"
        content = {
            "event": self.event.value,
            "run": self.run,
            "text": text,
            "content": text,
            "at": self.at.isoformat(),
        }
        return json.dumps(content).encode()


class NotDelivered(Exception):
    """Why a URL did not take a notification: the rest of a sentence, without the URL."""


class _NoRedirect(HTTPRedirectHandler):
    """Makes a redirect an error."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Follows nothing."""


def post(url: str, notification: Notification, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
    """Sends it, through this machine's proxy if it has one.

    Raises:
        NotDelivered: the server did not take it.
    """
    headers = {"Content-Type": "application/json", "User-Agent": f"fintts/{__version__}"}
    try:
        request = Request(url, notification.dump(), headers, method="POST")
        with build_opener(_NoRedirect()).open(request, timeout=timeout_seconds):
            return
    except HTTPError as error:
        with error:
            how = "redirects" if error.code // 100 == 3 else "refuses it"
            raise NotDelivered(f"{how} (HTTP {error.code})") from None
    except TimeoutError:
        raise NotDelivered(f"does not answer within {timeout_seconds:.0f} s") from None
    except URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise NotDelivered(f"does not answer within {timeout_seconds:.0f} s") from None
        raise NotDelivered("cannot be reached") from None
    except (OSError, HTTPException, ValueError):
        raise NotDelivered("gives no answer that can be read") from None
