"""What ends an instance where SkyPilot's autodown does not, executed by bash."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from fintts_templates import Arming, TaskValues, render

SKYLET = """
class AutostopWaitFor:
    JOBS = "jobs"
def set_autostop(*arguments):
    print(arguments)
def set_last_active_time_to_now():
    print("active now")
"""


class Pods:
    """RunPod's API, which refuses the first request of each."""

    def __init__(self) -> None:
        self.asked: list[tuple[str | None, str]] = []
        self.is_refused = threading.Event()
        self.is_ended = threading.Event()
        pods = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["query"]
                pods.asked.append((self.headers["Authorization"], query))
                is_first = len(pods.asked) == 1
                no = {"errors": [{"message": "try again", "path": ["podTerminate"]}]}
                answer = json.dumps(no if is_first else {"data": {"podTerminate": None}}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                (pods.is_refused if is_first else pods.is_ended).set()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def pods() -> Iterator[Pods]:
    made = Pods()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """With a `sleep` that counts instead of waiting, after a look at what the test allows."""
    (tmp_path / "workdir").mkdir()
    (tmp_path / "bin").mkdir()
    sleep = tmp_path / "bin" / "sleep"
    sleep.write_text(f"#!/bin/bash\necho $1 >> {tmp_path}/slept\nexec {_real('sleep')} 0.05\n")
    sleep.chmod(0o755)
    return tmp_path / "workdir"


def _real(program: str) -> str:
    return subprocess.check_output(["which", program], text=True).strip()


def arm(
    arming: Arming, workdir: Path, then: str = "", *, minutes: float = 600, envs: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs the beginning of a set-up, and something after it."""
    task = render(TaskValues(run="r", workdir="w", envs={}, arming=arming))
    setup: str = yaml.safe_load(task)["setup"]
    beginning = setup.partition("# Finds or makes a Python")[0]
    over_at = datetime.now(UTC) + timedelta(minutes=minutes)
    environment = {
        "PATH": f"{workdir.parent}/bin:{os.environ['PATH']}",
        "HOME": str(workdir.parent),
        "FINTTS_OVER_AT": over_at.isoformat(),
        "FINTTS_ASKED_AT": datetime.now(UTC).isoformat(),
    }
    return subprocess.run(
        ["bash", "-c", f"{beginning}\n{then}"],
        cwd=workdir,
        env=environment | envs,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def slept(workdir: Path) -> int:
    """In seconds, as the guard counts them."""
    path = workdir.parent / "slept"
    return sum(map(int, path.read_text().split())) if path.exists() else 0


def pod(pods: Pods) -> dict[str, str]:
    return {
        "RUNPOD_POD_ID": "pod7",
        "RUNPOD_API_KEY": "rpa_own",
        "RUNPOD_API_BASE_URL": pods.url,
    }


def test_a_pod_ends_itself_when_nothing_is_left_on_it_and_asks_until_it_is_heard(
    workdir: Path, pods: Pods
) -> None:
    done = arm(Arming.POD, workdir, envs=pod(pods))
    assert (done.returncode, done.stderr) == (0, "")
    assert pods.is_ended.wait(30)
    key, query = pods.asked[-1]
    assert key == "Bearer rpa_own"
    assert query == 'mutation { podTerminate(input: { podId: "pod7" }) }'
    assert 60 <= slept(workdir) <= 90


def test_a_pod_at_work_is_left_alone_until_its_job_is_over(workdir: Path, pods: Pods) -> None:
    job = subprocess.Popen([_real("sleep"), "60"])
    then = f"echo {job.pid} > ../fintts-job"
    assert arm(Arming.POD, workdir, then, envs=pod(pods)).returncode == 0
    while slept(workdir) < 300:
        time.sleep(0.05)
    assert pods.asked == []
    job.terminate()
    job.wait()
    assert pods.is_ended.wait(30)


def test_a_pod_whose_job_never_ends_ends_when_everything_must_be_over(
    workdir: Path, pods: Pods
) -> None:
    then = f"echo {os.getpid()} > ../fintts-job"
    assert arm(Arming.POD, workdir, then, minutes=2.5, envs=pod(pods)).returncode == 0
    assert pods.is_ended.wait(30)
    assert 130 <= slept(workdir) <= 170


def test_a_pod_without_a_key_of_its_own_is_not_set_up(workdir: Path, pods: Pods) -> None:
    done = arm(Arming.POD, workdir, "echo set up", envs={"RUNPOD_POD_ID": "pod7"})
    assert done.returncode == 1
    assert "this pod could not end itself" in done.stderr
    assert "set up" not in done.stdout


def test_a_skylet_gets_the_autodown_that_skypilot_withholds(workdir: Path) -> None:
    home = workdir.parent
    library = home / "library" / "sky" / "skylet"
    library.mkdir(parents=True)
    for folder in (library.parent, library):
        (folder / "__init__.py").touch()
    (library / "autostop_lib.py").write_text(SKYLET)
    python = home / "bin" / "sky-python"
    python.write_text(f'#!/bin/bash\nPYTHONPATH={home}/library exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (home / ".sky").mkdir()
    (home / ".sky" / "python_path").write_text(f"{python}\n")
    done = arm(Arming.SKYLET, workdir, envs={"PYTHONPATH": "/nowhere"})
    assert done.stdout.splitlines() == ["(1, 'cloudvmray', 'jobs', True)", "active now"]
    (library / "autostop_lib.py").write_text("def set_autostop(): pass\n")
    done = arm(Arming.SKYLET, workdir, "echo set up", envs={})
    assert done.returncode == 1
    assert "this instance could not end itself" in done.stderr
    assert "set up" not in done.stdout
