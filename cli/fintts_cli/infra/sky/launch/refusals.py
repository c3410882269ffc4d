"""Finds out why no cloud gave an instance: SkyPilot's error only names the places, and each place's
answer is in SkyPilot's earlier output."""

from __future__ import annotations

import re
from enum import StrEnum
from textwrap import shorten
from typing import NamedTuple

from fintts_cli.errors import CloudError

PLACE = re.compile(r"Launching (?:\w+ )*on (\w+) ([\w-]+)")
"""`⚙︎ Launching on AWS us-east-1 (us-east-1b,us-east-1c).`"""
LONGEST_WORDS = 160
"""characters of a cloud's own words that are shown"""


class Reason(StrEnum):
    """A cloud's answer, in words that fit before `in REGION`. What you can fix comes first."""

    KEY = "the key is refused"
    BALANCE = "not enough balance"
    QUOTA = "no quota for this account"
    PERMISSION = "no permission to make instances"
    CAPACITY = "no capacity"
    TOO_OFTEN = "asked too often"


CODES = {
    Reason.TOO_OFTEN: (
        r"too_many_requests|Too many requests|rate.limited"
        r"|(?:rate|request) ?limit ?exceeded"  # GCP, AWS, Nebius
        r"|429 Client Error"
    ),
    Reason.KEY: (
        r"AuthFailure|InvalidClientTokenId"  # AWS
        r"|invalid_grant|UNAUTHENTICATED"  # GCP, Nebius
        r"|AADSTS7000\d+|InvalidAuthenticationToken|ExpiredAuthenticationToken"  # Azure
        r"|Unauthorized request|No API key provided"  # RunPod
        r"|unauthorized_request"  # Verda
        r"|invalid-api-key|API key was invalid"  # Lambda
        r"|Invalid user key|auth_error"  # Vast
        r"|401 Client Error"  # requests, which Vast's client passes on without the seller's words
    ),
    Reason.BALANCE: (
        r"insufficient_funds|not enough funds"  # Verda
        r"|balance is too low|insufficient balance|insufficient funds"  # RunPod
        r"|account-inactive"  # Lambda
        r"|insufficient.credit|lacks? credit|402 Client Error"  # Vast
        r"|BILLING_DISABLED|billing (?:to be|is not) enabled|billing account.*(?:disabled|closed)"
        r"|ReadOnlyDisabledSubscription"  # Azure
    ),
    Reason.QUOTA: (
        r"VcpuLimitExceeded|MaxSpotInstanceCountExceeded|InstanceLimitExceeded"  # AWS
        r"|Found no quota for"  # SkyPilot, for a quota of 0
        r"|QUOTA_EXCEEDED|quotaExceeded"  # GCP
        r"|QuotaExceeded"  # Azure
        r"|quota-exceeded"  # Lambda
        r"|QuotaFailure|Quota limit exceeded|quota exceeded|limit exceeded"  # Nebius, Verda
    ),
    Reason.PERMISSION: r"UnauthorizedOperation|AuthorizationFailed|PERMISSION_DENIED",
    Reason.CAPACITY: (
        r"InsufficientInstanceCapacity|InsufficientHostCapacity"
        r"|InsufficientReservedInstanceCapacity"
        r"|ZONE_RESOURCE_POOL_EXHAUSTED|VM_MIN_COUNT_NOT_REACHED|stockout"  # GCP
        r"|AllocationFailed|SkuNotAvailable|OverconstrainedAllocationRequest"  # Azure
        r"|insufficient-capacity"  # Lambda
        r"|no longer any instances available|not enough free GPUs|no resources currently"  # RunPod
        r"|Not enough resources|no_capacity|service_unavailable|out of stock"  # Verda
        r"|could not find an offer that satisfies|no_such_ask"  # Vast
        r"|NotEnoughResources|Resource exhausted"  # Nebius
    ),
}
"""in the order in which a line is looked through: a quota may be said with a lack of capacity, and
a limit of requests with a quota"""
PATTERNS = {reason: re.compile(codes, re.IGNORECASE) for reason, codes in CODES.items()}
HINTS = {
    Reason.KEY: "make a new key in the cloud's console, and write it where `sky check` says",
    Reason.BALANCE: "add funds in the cloud's console, or take another --infra",
    Reason.QUOTA: "ask the cloud for quota, which may take days; `fintts doctor` says where there "
    "is some; --infra and --gpus take another place or GPU",
    Reason.PERMISSION: "`sky check` says which rights your key needs",
    Reason.CAPACITY: "try again later; you can name several --gpus, or another --infra",
    Reason.TOO_OFTEN: "wait a minute, and try again",
}
LASTING = frozenset({Reason.KEY, Reason.BALANCE, Reason.QUOTA, Reason.PERMISSION})
"""what does not change while a launch waits"""
OF_PLACES = frozenset({"ResourcesUnavailableError", "StopFailoverError"})
"""SkyPilot's errors after it tried places; the second if it also failed to remove what was never
there, as on Lambda"""
TOLD = frozenset({Reason.KEY, Reason.BALANCE})
"""These are the same in every place, so the cloud's own words are shown."""


class NotReadyInTime(CloudError):
    """No place made an instance ready within launch patience; nothing is left."""


class RefusedEverywhere(CloudError):
    """Every place refused the instance, and would later, too; nothing is left."""


class Answer(NamedTuple):
    """What a cloud says, and what it means."""

    reason: Reason
    words: str


def answer_in(line: str) -> Answer | None:
    """The cloud's answer in a line of text; None if it is not known."""
    for reason, pattern in PATTERNS.items():
        if found := pattern.search(line):
            begin = max(line.rfind(mark, 0, found.start()) for mark in ("\n", ": ", ". ")) + 1
            return Answer(reason, _shortened(line[begin:]))
    return None


def answers_in(said: str) -> dict[str, Answer]:
    """Each place, as in `--infra`, with its last answer.

    Args:
        said: SkyPilot's output while it tried one place after another.
    """
    found: dict[str, Answer] = {}
    place = ""
    for line in said.splitlines():
        if match := PLACE.search(line):
            place = f"{match[1]}/{match[2]}".lower()
        answer = answer_in(line) if place else None
        if answer is not None:
            found[place] = answer
    return found


def is_refused_everywhere(said: str) -> bool:
    """Whether each place that SkyPilot tried refused the instance, so that none ever came. Who asks
    too often may have got one before."""
    return _refused_with(said, frozenset(Reason) - {Reason.TOO_OFTEN})


def is_refused_for_good(said: str) -> bool:
    """Whether each place that SkyPilot tried refused for a reason that waiting does not
    change."""
    return _refused_with(said, LASTING)


def _refused_with(said: str, reasons: frozenset[Reason]) -> bool:
    tried = {f"{match[1]}/{match[2]}".lower() for match in PLACE.finditer(said)}
    refused = {place for place, one in answers_in(said).items() if one.reason in reasons}
    return bool(tried) and tried == refused


def is_of_places(error: BaseException) -> bool:
    """Whether SkyPilot tried places in vain. An error that its client does not know comes as an
    Exception whose text begins with the error's name."""
    if isinstance(error, NotReadyInTime | RefusedEverywhere):
        return True
    return type(error).__name__ in OF_PLACES or str(error).partition(":")[0] in OF_PLACES


def refusal(error: Exception, said: str) -> CloudError | None:
    """Every place that was tried, and its reason; None if no reason is known.

    One place may have refused before another accepted: any other error is judged by its own words.
    """
    if not is_of_places(error):
        answer = answer_in(str(error))
        is_told = answer is not None and answer.reason in TOLD
        return CloudError(_told(answer), HINTS[answer.reason]) if answer and is_told else None
    found = answers_in(said)
    reasons = [reason for reason in Reason if reason in {one.reason for one in found.values()}]
    if not reasons:
        return None
    sentence = "; ".join(_of_places(reason, found) for reason in reasons)
    if isinstance(error, NotReadyInTime):
        is_capacity = reasons == [Reason.CAPACITY]
        hint = error.hint if is_capacity else HINTS[reasons[0]]
        return CloudError(f"{error.message}: {sentence}", hint)
    return CloudError(f"no instance is available: {sentence}", HINTS[reasons[0]])


def _of_places(reason: Reason, found: dict[str, Answer]) -> str:
    places = [place for place, answer in found.items() if answer.reason == reason]
    words = f" ({found[places[0]].words})" if reason in TOLD else ""
    return f"{reason} in {', '.join(places)}{words}"


def _told(answer: Answer) -> str:
    return f"no instance is available: {answer.reason} ({answer.words})"


def in_the_seller_s_words(title: str, error: Exception) -> CloudError:
    """What a seller's client raised, as one sentence with what to do."""
    if isinstance(error, CloudError):
        return error
    words = getattr(error, "message", None)
    text = str(error) or type(error).__name__
    answer = answer_in(text) or answer_in(type(error).__name__)
    hint = HINTS[answer.reason] if answer else ""
    return CloudError(f"{title} says: {_shortened(str(words or text))}", hint)


def _shortened(words: str) -> str:
    return shorten(words.strip(" .:"), LONGEST_WORDS, placeholder=" …")
