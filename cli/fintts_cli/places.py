"""Where a run trains: on this machine or a rented one, and how long each takes to start and end."""

from __future__ import annotations

LOCAL = "local"


SETUP_SECONDS = {True: 20.0, False: 600.0}
"""here; on a rented instance, which boots in two minutes and installs the trainer in eight"""


TEARDOWN_SECONDS = {True: 1.0, False: 110.0}
"""here; on a rented instance, whose idleness is checked once a minute: 96 to 107 s measured"""
