"""Where a run goes: this machine, or a rented one; and how long each takes to begin and to end."""

from __future__ import annotations

LOCAL = "local"


SETUP_SECONDS = {True: 20.0, False: 600.0}
"""here; on a rented instance: two minutes to boot and eight to install the trainer by pip"""


TEARDOWN_SECONDS = {True: 1.0, False: 110.0}
"""here; on a rented instance, whose idleness is looked at once a minute: 96 to 107 s were seen"""
