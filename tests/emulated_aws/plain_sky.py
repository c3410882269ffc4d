"""SkyPilot's SDK in a process of its own, called as the product will call it.

python plain_sky.py launch NAME TASK_YAML     # a cluster; returns when its job is submitted
python plain_sky.py jobs-launch NAME TASK_YAML
python plain_sky.py jobs-status NAME          # a word, such as RUNNING
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import sky
import sky.jobs


def launch(name: str, task: str) -> str:
    request = sky.launch(sky.Task.from_yaml(task), cluster_name=name)
    job_id, _ = sky.stream_and_get(request)
    return str(job_id)


def jobs_launch(name: str, task: str) -> str:
    request = sky.jobs.launch(sky.Task.from_yaml(task), name=name)
    job_ids, _ = sky.stream_and_get(request)
    return str(job_ids)


def jobs_status(name: str) -> str:
    records, *_ = sky.get(sky.jobs.queue_v2(refresh=False))
    [status] = [record.status for record in records if record.job_name == name]
    return status.value if status else ""


VERBS: dict[str, Callable[..., str]] = {
    "launch": launch,
    "jobs-launch": jobs_launch,
    "jobs-status": jobs_status,
}

if __name__ == "__main__":
    answer = VERBS[sys.argv[1]](*sys.argv[2:])
    # SkyPilot talks on standard output as well: the answer is its last line.
    sys.stdout.write(f"{answer}\n")
