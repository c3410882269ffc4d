"""A session with the rig, for tests that end it: one instance, and a laptop with a daemon.

Says `booted`; when its input ends it stops the rig and says, as JSON, what was there before and
what is after.
"""

from __future__ import annotations

import json
import subprocess
import sys

from rig.cloud import EmulatedAws
from rig.traces import traces


def main() -> None:
    before = traces()
    with EmulatedAws() as cloud:
        cloud.await_boot(cloud.boot("us-east-1"))
        subprocess.run(["setsid", "--fork", "sleep", "1001"], env={}, check=True)
        with subprocess.Popen(["sleep", "1002"], env=cloud.environment):
            sys.stdout.write("booted\n")
            sys.stdout.flush()
            sys.stdin.read()
            cloud.shut_laptop()
    sys.stdout.write(json.dumps([before, traces()]) + "\n")


if __name__ == "__main__":
    main()
