"""The side that launches: a HOME and an environment that know the emulated AWS and nothing else."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from as_aws import write_rules
from rig import catalog, image, network

REGION = "us-east-1"
ACCESS_KEY = "AKIAEMULATEDEMULATED"
SECRET_KEY = "only/inside/the/enclosure"
CREDENTIALS = f"""\
[default]
aws_access_key_id = {ACCESS_KEY}
aws_secret_access_key = {{secret_key}}
region = {REGION}
"""
SERVICES = ("ec2", "iam", "service_quotas", "sts")
"""whose server `~/.aws/config` names; that of S3 would become part of a store's address"""
SKY_CONFIGURATION = """\
jobs:
  controller:
    consolidation_mode: true  # no instance for the controller: SkyPilot's server does its work
"""
NOT_PASSED_ON = ("AWS_", "SKY", "XDG_", "FINTTS_", "PYTHON", "PIP_")
"""prefixes of variables by which the developer's own set-up would reach the emulated laptop"""


def furnish(home: Path) -> None:
    """Writes what `aws configure` and SkyPilot's first start would leave in a HOME."""
    for folder in (".aws", "sky_logs"):
        (home / folder).mkdir(parents=True)
    write_key(home, SECRET_KEY)
    (home / ".aws" / "config").write_text(_services())
    write_rules(home / ".aws" / "models", network.AWS_URL)
    catalog.write_catalogs(home)
    configure_sky(home)


def _services() -> str:
    own = "".join(f"{name} =\n  endpoint_url = {network.AWS_URL}\n" for name in SERVICES)
    return f"[default]\nservices = emulated\n\n[services emulated]\n{own}"


def configure_sky(home: Path, text: str = SKY_CONFIGURATION) -> None:
    """SkyPilot's settings from its server's next start on; without a text its defaults."""
    file = home / ".sky" / "config.yaml"
    file.write_text(text) if text else file.unlink(missing_ok=True)


def write_key(home: Path, secret_key: str) -> None:
    """The account's key from now on; the emulated AWS takes any."""
    text = CREDENTIALS.format(secret_key=secret_key)
    (home / ".aws" / "credentials").write_text(text)


def environment(home: Path, certificate: Path) -> dict[str, str]:
    """All variables of a process on the laptop; `certificate` vouches for the emulated internet."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_PASSED_ON)}
    return kept | {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "AWS_EC2_METADATA_DISABLED": "true",
        "REQUESTS_CA_BUNDLE": str(certificate),
        "SSL_CERT_FILE": str(certificate),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(image.WHEELS),
        "SKYPILOT_DISABLE_USAGE_COLLECTION": "1",
        # By the memory SkyPilot counts how many controllers of jobs it starts; this makes one.
        "SKYPILOT_POD_MEMORY_GB_LIMIT": "6",
    }
