"""Where an S3 store lies: bucket and prefix, and for servers beside AWS how to reach them.

All of it is in one text, `s3://BUCKET/PREFIX?endpoint_url=…`, so that a run's journal, its task
and its instance mean the same place. It holds no key and no secret.
"""

import re
from dataclasses import dataclass
from typing import Literal, cast, get_args
from urllib.parse import parse_qsl, urlencode, urlsplit

from fintts_store.errors import StoreDenied
from fintts_store.store import is_relative_name

SCHEME = "s3"
Addressing = Literal["auto", "path", "virtual"]
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CREDENTIALS = re.compile("(//|%2F%2F)[^/?&]*(?:@|%40)", re.I)
_OPTIONS = ("endpoint_url", "addressing", "region")


@dataclass(frozen=True, slots=True)
class S3Address:
    """A place in a bucket; `prefix` is empty or ends with `/`."""

    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    """of a server that is not AWS"""
    addressing: Addressing = "auto"
    """whether the bucket is part of the path or of the host's name"""
    region: str | None = None

    @classmethod
    def parse(cls, text: str) -> "S3Address":
        """From `s3://BUCKET/PREFIX`, with `?endpoint_url=URL` and the like behind it.

        Raises:
            StoreDenied: it is no such address.
        """
        parts = urlsplit(text)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        prefix = parts.path.strip("/")
        _check(text, parts.scheme, parts.netloc, prefix, options)
        endpoint_url = options.get("endpoint_url")
        return cls(
            bucket=parts.netloc,
            prefix=f"{prefix}/" if prefix else "",
            endpoint_url=endpoint_url,
            # Few servers of one's own have a name for each bucket.
            addressing=cast("Addressing", options.get("addressing") or "path")
            if endpoint_url
            else cast("Addressing", options.get("addressing") or "auto"),
            region=options.get("region"),
        )

    @property
    def url(self) -> str:
        """The text that `parse` takes."""
        given = {
            "endpoint_url": self.endpoint_url,
            "addressing": None if self.addressing == self._usual else self.addressing,
            "region": self.region,
        }
        query = urlencode({name: value for name, value in given.items() if value is not None})
        place = f"{SCHEME}://{self.bucket}/{self.prefix}".rstrip("/")
        return f"{place}?{query}" if query else place

    @property
    def _usual(self) -> Addressing:
        return "path" if self.endpoint_url else "auto"

    @property
    def where(self) -> str:
        """For a sentence."""
        at = f" at {self.endpoint_url}" if self.endpoint_url else ""
        return f"s3://{self.bucket}{at}"


def _check(text: str, scheme: str, bucket: str, prefix: str, options: dict[str, str]) -> None:
    example = "an address is s3://BUCKET/PREFIX, with ?endpoint_url=URL behind it if it is not AWS"
    if "@" in bucket or _has_credentials(options.get("endpoint_url", "")):
        raise StoreDenied(
            f"the address {without_credentials(text)} holds credentials",
            "leave them out, for an address is shown and kept: set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        )
    if scheme != SCHEME or not _BUCKET.fullmatch(bucket):
        raise StoreDenied(f"{text} names no bucket", example)
    if prefix and not is_relative_name(prefix):
        raise StoreDenied(f"the prefix of {text} has a part that is empty, '.' or '..'", example)
    unknown = sorted(options.keys() - set(_OPTIONS))
    if unknown:
        raise StoreDenied(f"{text} has an option {unknown[0]}", f"known are {', '.join(_OPTIONS)}")
    addressing = options.get("addressing", "auto")
    if addressing not in get_args(Addressing):
        raise StoreDenied(f"{text} asks for addressing {addressing}", "it is auto, path or virtual")
    endpoint_url = options.get("endpoint_url")
    if endpoint_url is not None and urlsplit(endpoint_url).scheme not in ("http", "https"):
        raise StoreDenied(
            f"the endpoint {endpoint_url!r} is no URL",
            "give it as https://HOST or http://HOST:PORT",
        )


def _has_credentials(url: str) -> bool:
    return "@" in urlsplit(url).netloc


def without_credentials(url: str) -> str:
    """What stands before an @ is not shown."""
    return _CREDENTIALS.sub(r"\1…@", url)
