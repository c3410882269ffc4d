"""A machine without a network is known for one before anybody is asked."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASK = "from fintts_cli.online import is_online; print(is_online())"


@pytest.mark.parametrize(
    ("more", "is_online"),
    [("true", False), ("ip link add name b type bridge; ip addr add 10.9.0.1/24 dev b", True)],
)
def test_a_machine_is_online_if_it_has_an_address_besides_its_loopback(
    more: str, is_online: bool
) -> None:
    said = subprocess.run(
        ["unshare", "-n", "sh", "-c", f'ip link set lo up; {more}; "{sys.executable}" -c "{ASK}"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == str(is_online)
