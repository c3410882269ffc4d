"""IAM's judgement of requests, as far as the policies of runs go: statements that allow."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

OBJECT_ACTIONS = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
ACTIONS = {
    ("GET", False): "s3:GetObject",
    ("HEAD", False): "s3:GetObject",
    ("PUT", False): "s3:PutObject",
    ("POST", False): "s3:PutObject",
    ("DELETE", False): "s3:DeleteObject",
    ("GET", True): "s3:ListBucket",
}


def allows(policy: dict[str, Any], action: str, resource: str, prefix: str | None = None) -> bool:
    """As IAM decides: what one statement denies, no other allows. `prefix` is the listing's, if it
    has one."""
    effects = {
        statement["Effect"]
        for statement in policy["Statement"]
        if action in _several(statement["Action"])
        and _fits(resource, statement["Resource"])
        and (
            "Condition" not in statement
            or (
                prefix is not None
                and _fits(prefix, statement["Condition"]["StringLike"]["s3:prefix"])
            )
        )
    }
    return effects == {"Allow"}


def what_is_asked(method: str, url: str) -> tuple[str, str, str | None]:
    """Action, resource and prefix of a request for an object or a bucket, addressed by path."""
    parts = urlsplit(url)
    query = parse_qs(parts.query, keep_blank_values=True)
    bucket, _, key = unquote(parts.path.lstrip("/")).partition("/")
    action = ACTIONS[method, not key]
    if method == "DELETE" and "uploadId" in query:
        action = "s3:AbortMultipartUpload"
    if not key and "uploads" in query:
        action = "s3:ListBucketMultipartUploads"
    resource = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
    return action, resource, query.get("prefix", [None])[0]


def _several(one_or_more: str | list[str]) -> list[str]:
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


def _fits(text: str, patterns: str | list[str]) -> bool:
    return any(
        re.fullmatch(_expression(pattern), text, re.DOTALL) for pattern in _several(patterns)
    )


def _expression(pattern: str) -> str:
    parts = re.findall(r"\$\{[*?$]\}|.", pattern, re.DOTALL)
    free = {"*": ".*", "?": "."}
    return "".join(
        free.get(part) or re.escape(part[2] if len(part) > 1 else part) for part in parts
    )
