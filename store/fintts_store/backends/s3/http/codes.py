"""The error codes of S3 servers: what each means, and whether a second try may help."""

from fintts_store.backends.s3.http.reasons import (
    WRONG_REGION,
)

NOT_FOUND = {"NoSuchKey", "404", "NotFound", "NoSuchUpload", "NoSuchLifecycleConfiguration"}
EXISTS = {"PreconditionFailed", "412"}
PAST_THE_END = {"InvalidRange", "416"}
NO_OBJECT, OTHER_REGION, UNSUPPORTED = "NoSuchKey", "PermanentRedirect", "NotImplemented"
FORBIDDEN, EXPIRED = "AccessDenied", "ExpiredToken"
DENIED = {
    "NoSuchBucket": ("the bucket {where} does not exist", "create it, or correct its name"),
    FORBIDDEN: ("{where} refuses {operation}{because}", ""),
    "InvalidAccessKeyId": (
        "{where} does not know the access key",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, for this server",
    ),
    "SignatureDoesNotMatch": (
        "{where} does not accept the secret key",
        "check that AWS_SECRET_ACCESS_KEY belongs to AWS_ACCESS_KEY_ID",
    ),
    EXPIRED: (
        "the credentials for {where} have expired",
        "sign in again (`aws sso login`), or set new ones",
    ),
    "RequestTimeTooSkewed": (
        "the clock of this machine differs too much from that of {where}",
        "correct it, for example with `timedatectl set-ntp true`",
    ),
    "EntityTooLarge": (
        "{where} does not accept such large requests ({operation})",
        "raise the limit of the server, or of the proxy in front of it, to 64 MB (nginx: "
        "`client_max_body_size 64m;`)",
    ),
    UNSUPPORTED: (
        "{where} does not support {operation} as runs need it{because}",
        "use a server with conditional writes and multipart uploads; `fintts store check` tests "
        "for them",
    ),
    OTHER_REGION: ("the bucket {where} is in another region{because}", ""),
}
SAME_AS = {
    "403": FORBIDDEN,
    "413": "EntityTooLarge",
    "Forbidden": FORBIDDEN,
    "AllAccessDisabled": FORBIDDEN,
    "InvalidToken": "ExpiredToken",
    "ExpiredTokenException": "ExpiredToken",
    "TokenRefreshRequired": "ExpiredToken",
    "RequestExpired": "RequestTimeTooSkewed",
    WRONG_REGION: OTHER_REGION,
    "IllegalLocationConstraintException": OTHER_REGION,
    "301": OTHER_REGION,
    "501": UNSUPPORTED,
}
CONFLICT, TOO_LARGE = 409, 413
SERVER_ERRORS = 500
PASSING = {
    *("RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"),
    *("408", "425", "429"),
    # Damaged in transit.
    *("XAmzContentSHA256Mismatch", "BadDigest", "InvalidDigest", "IncompleteBody"),
}
DOUBTFUL_STATUSES = {400, 403, 404}
CERTAIN = {
    *("ExpiredToken", "ExpiredTokenException", "InvalidToken", "RequestTimeTooSkewed"),
    *("NoSuchUpload", "EntityTooLarge", WRONG_REGION),
}
"""Errors that a second try would repeat"""
