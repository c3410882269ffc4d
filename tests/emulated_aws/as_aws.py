"""An S3 server as AWS's own: boto3 finds it for an address that names no server.

The rules by which boto3 finds AWS's servers are data, and AWS_DATA_PATH names a folder with others.
"""

from __future__ import annotations

import json
from pathlib import Path

VERSION = "2006-03-01"


def write_rules(folder: Path, endpoint_url: str) -> Path:
    """Makes the folder for AWS_DATA_PATH; all buckets lie on that server."""
    scheme = {"name": "sigv4", "signingName": "s3", "signingRegion": "us-east-1"}
    properties = {"authSchemes": [scheme | {"disableDoubleEncoding": True}]}
    about_bucket = [{"fn": "isSet", "argv": [{"ref": "Bucket"}]}]
    rules = [
        {
            "conditions": conditions,
            "endpoint": {"url": endpoint_url + path, "properties": properties, "headers": {}},
            "type": "endpoint",
        }
        for conditions, path in ((about_bucket, "/{Bucket}"), ([], ""))
    ]
    bucket = {"required": False, "documentation": "its name", "type": "String"}
    document = {"version": "1.0", "parameters": {"Bucket": bucket}, "rules": rules}
    place = folder / "s3" / VERSION
    place.mkdir(parents=True)
    (place / "endpoint-rule-set-1.json").write_text(json.dumps(document))
    return folder
