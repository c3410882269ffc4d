"""What every infra must do with a task; each adapter joins by one more parameter."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from fintts_cli.errors import CloudError
from fintts_cli.infra import Infra, InstancePhase, InstanceState
from fintts_cli.infra.local import local
from fintts_cli.infra.local.local import LocalInfra
from fintts_cli.infra.local.processes import members_of, read_process
from fintts_cli.infra.local.record import read_instance, write_instance
from fintts_store.errors import InvalidRunName, StoreFull

LIMIT_SECONDS = 30.0
MAKERS: dict[str, Callable[[Path], Infra]] = {"local": LocalInfra}


@pytest.fixture(params=MAKERS)
def infra(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Infra]:
    infra = MAKERS[request.param](tmp_path)
    yield infra
    for state in infra.instances():
        infra.down(state.run)


def task(tmp_path: Path, run: str, setup: str = "true", **envs: str) -> str:
    """The text of a task, rendered or not: an infra obeys workdir, envs, setup and run."""
    workdir = tmp_path / "bundle"
    workdir.mkdir(exist_ok=True)
    (workdir / "code.txt").write_text("from the bundle\n")
    content = {"workdir": str(workdir), "envs": envs, "setup": setup, "run": run}
    return yaml.safe_dump(content)


def until(infra: Infra, run: str, reached: Callable[[InstanceState], bool]) -> InstanceState:
    """Waits, within a limit, for what a real process does."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        state = infra.state(run)
        if state is not None and reached(state):
            return state
        assert time.monotonic() < deadline, state
        time.sleep(0.02)


def gone(state: InstanceState) -> bool:
    return not state.is_live


def until_logged(infra: Infra, run: str, word: str) -> None:
    until(infra, run, lambda _: any(word in line for line in infra.logs(run, follow=False)))


def test_a_task_runs_to_its_end_and_is_gone(infra: Infra, tmp_path: Path) -> None:
    text = task(tmp_path, 'cat code.txt; echo "run says $WORD"', "echo set up", WORD="päivää & $x")
    infra.launch("one", text)
    assert list(infra.logs("one", follow=True)) == [
        "set up\n",
        "from the bundle\n",
        "run says päivää & $x\n",
    ]
    state = until(infra, "one", gone)
    assert (state.phase, state.exit_code) == (InstancePhase.GONE, 0)
    assert state.ended_at is not None
    assert state.created_at <= state.ended_at
    assert [each.run for each in infra.instances()] == ["one"]


def test_the_exit_code_is_the_job_s(infra: Infra, tmp_path: Path) -> None:
    infra.launch("one", task(tmp_path, "exit 3"))
    assert until(infra, "one", gone).exit_code == 3


def test_a_set_up_that_fails_ends_it(infra: Infra, tmp_path: Path) -> None:
    infra.launch("one", task(tmp_path, "echo never", setup="echo no; exit 7"))
    assert until(infra, "one", gone).exit_code == 7
    assert list(infra.logs("one", follow=False)) == ["no\n"]


def test_down_takes_everything_along_and_may_be_called_again(infra: Infra, tmp_path: Path) -> None:
    deaf = "trap '' TERM INT HUP; (trap '' TERM; sleep 1000) & echo here; sleep 1000"
    infra.launch("one", task(tmp_path, deaf))
    until_logged(infra, "one", "here")
    infra.down("one")
    state = infra.state("one")
    assert state is not None
    assert gone(state)
    infra.down("one")
    infra.down("never-heard-of")
    assert infra.state("never-heard-of") is None


DAEMON = """
python3 - <<'END'
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(os.environ["PIDS"], "a").write(f"{os.getpid()}\\n")
        time.sleep(1000)
    os._exit(0)
END
"""


def test_a_daemon_goes_with_the_instance_too(infra: Infra, tmp_path: Path) -> None:
    """It has left the session, and its parents are gone."""
    pids = tmp_path / "pids"
    until_known = "while [ ! -s $PIDS ]; do sleep 0.02; done"
    for end in ("true", "echo up; sleep 1000"):
        pids.unlink(missing_ok=True)
        script = f"{DAEMON}\n{until_known}\n{end}"
        infra.launch("mine", task(tmp_path, script, PIDS=str(pids)))
        if end != "true":
            until_logged(infra, "mine", "up")
            daemon = int(pids.read_text())
            assert read_process(daemon) is not None
            infra.down("mine")
        until(infra, "mine", gone)
        assert read_process(int(pids.read_text())) is None


def test_down_during_set_up(infra: Infra, tmp_path: Path) -> None:
    infra.launch("one", task(tmp_path, "echo never", setup="echo here; sleep 1000"))
    until_logged(infra, "one", "here")
    infra.down("one")
    assert list(infra.logs("one", follow=False)) == ["here\n"]


def test_a_second_launch_of_a_live_run_is_refused(infra: Infra, tmp_path: Path) -> None:
    infra.launch("one", task(tmp_path, "echo first; sleep 1000"))
    until_logged(infra, "one", "first")
    with pytest.raises(CloudError, match="live instance") as refused:
        infra.launch("one", task(tmp_path, "echo again"))
    assert refused.value.hint
    state = infra.state("one")
    assert state is not None
    assert state.is_live, "the one that is there is left alone"
    infra.down("one")
    infra.launch("one", task(tmp_path, "echo again"))
    assert list(infra.logs("one", follow=True)) == ["first\n", "again\n"]


def test_what_the_job_left_behind_goes_with_the_instance(infra: Infra, tmp_path: Path) -> None:
    infra.launch("one", task(tmp_path, f"sleep 1000 & echo $! > {tmp_path}/pid; exit 5"))
    assert until(infra, "one", gone).exit_code == 5
    assert read_process(int((tmp_path / "pid").read_text())) is None


def test_the_workdir_may_go_once_the_launch_was_accepted(infra: Infra, tmp_path: Path) -> None:
    text = task(tmp_path, "ls | wc -l")
    for number in range(200):
        (tmp_path / "bundle" / f"{number}.txt").touch()
    infra.launch("one", text)
    shutil.rmtree(tmp_path / "bundle")
    assert list(infra.logs("one", follow=True)) == ["201\n"]


def test_of_two_launches_at_once_one_is_refused(infra: Infra, tmp_path: Path) -> None:
    text = task(tmp_path, "echo here; sleep 1000")

    def launch(_: int) -> bool:
        try:
            infra.launch("one", text)
        except CloudError:
            return False
        return True

    with ThreadPoolExecutor(2) as both:
        assert sorted(both.map(launch, range(2))) == [False, True]
    until_logged(infra, "one", "here")
    assert list(infra.logs("one", follow=False)) == ["here\n"]


def test_secrets_reach_set_up_and_job_and_are_written_nowhere(infra: Infra, tmp_path: Path) -> None:
    said = 'echo "$(printf %s "$KEY" | sha256sum)"'
    secrets = {"KEY": "planted and secret"}
    infra.launch("one", task(tmp_path, f"{said}; sleep 1000", setup=said, KEY="public"), secrets)
    digest = hashlib.sha256(b"planted and secret").hexdigest()
    until(infra, "one", lambda _: list(infra.logs("one", follow=False)) == [f"{digest}  -\n"] * 2)
    everywhere = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in everywhere if b"planted" in path.read_bytes()] == []
    listed = subprocess.run(["ps", "-eo", "args="], capture_output=True, check=True).stdout
    assert b"planted and secret" not in listed
    infra.down("one")
    infra.launch("one", task(tmp_path, 'echo "then: $KEY"'))
    assert list(infra.logs("one", follow=True))[-1] == "then: \n", "they are of one launch"


def test_a_name_that_leads_elsewhere_is_refused(infra: Infra, tmp_path: Path) -> None:
    text = task(tmp_path, "true")
    with pytest.raises(InvalidRunName):
        infra.launch("..", text)
    with pytest.raises(InvalidRunName):
        infra.down("..")
    assert (tmp_path / "bundle").is_dir()


def test_logs_of_an_unknown_run_are_an_error(infra: Infra) -> None:
    with pytest.raises(CloudError):
        list(infra.logs("never", follow=True))


def test_the_laptop_s_environment_stays_there(
    infra: Infra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "do-not-tell")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    infra.launch("one", task(tmp_path, "env", FINTTS_RUN="one"))
    lines = list(infra.logs("one", follow=True))
    assert "FINTTS_RUN=one\n" in lines
    assert not [line for line in lines if "do-not-tell" in line or "PYTHONPATH" in line]


class TestLocal:
    """What only an instance on this machine can show."""

    def test_a_killed_agent_is_noticed_and_its_children_are_found(self, tmp_path: Path) -> None:
        infra = LocalInfra(tmp_path)
        infra.launch("one", task(tmp_path, "echo here; sleep 1000"))
        until_logged(infra, "one", "here")
        instance = read_instance(tmp_path / "instances" / "one")
        assert instance is not None
        os.kill(instance.agent_pid, signal.SIGKILL)
        state = infra.state("one")
        assert state is not None
        assert state.is_live, "the job goes on without its agent, and may not be overlooked"
        infra.down("one")
        assert members_of(instance.agent_pid, instance.agent_started) == []
        state = infra.state("one")
        assert state is not None
        assert gone(state)
        assert state.ended_at is not None

    def test_a_preempted_instance_lets_the_job_save(self, tmp_path: Path) -> None:
        infra = LocalInfra(tmp_path)
        job = "trap 'echo saving; exit 75' TERM; echo here; sleep 1000 & wait"
        infra.launch("one", task(tmp_path, job))
        until_logged(infra, "one", "here")
        instance = read_instance(tmp_path / "instances" / "one")
        assert instance is not None
        os.kill(instance.agent_pid, signal.SIGTERM)
        assert until(infra, "one", gone).exit_code == 75
        assert list(infra.logs("one", follow=False)) == ["here\n", "saving\n"]

    def test_a_job_that_is_deaf_to_its_preemption_is_ended(self, tmp_path: Path) -> None:
        infra = LocalInfra(tmp_path, grace_seconds=0.2)
        infra.launch("one", task(tmp_path, "trap '' TERM; echo here; sleep 1000; sleep 1000"))
        until_logged(infra, "one", "here")
        instance = read_instance(tmp_path / "instances" / "one")
        assert instance is not None
        os.kill(instance.agent_pid, signal.SIGTERM)
        assert until(infra, "one", gone).exit_code == 128 + signal.SIGKILL

    @pytest.mark.parametrize("earlier_boot", [False, True])
    def test_a_stranger_with_the_agent_s_number_is_left_alone(
        self, tmp_path: Path, *, earlier_boot: bool
    ) -> None:
        infra = LocalInfra(tmp_path)
        infra.launch("one", task(tmp_path, "true"))
        until(infra, "one", gone)
        folder = tmp_path / "instances" / "one"
        instance = read_instance(folder)
        assert instance is not None
        with subprocess.Popen(["sleep", "1000"], start_new_session=True) as stranger:
            seen = read_process(stranger.pid)
            assert seen is not None
            fields: dict[str, object] = {
                "agent_pid": stranger.pid,
                "agent_started": seen.started if earlier_boot else seen.started - 1,
                "boot_id": "another" if earlier_boot else instance.boot_id,
                "phase": InstancePhase.RUNNING,
            }
            write_instance(folder, instance.model_copy(update=fields))
            infra.down("one")
            state = infra.state("one")
            assert state is not None
            assert gone(state)
            assert stranger.poll() is None
            stranger.kill()

    def test_a_line_is_told_when_it_is_whole(self, tmp_path: Path) -> None:
        infra = LocalInfra(tmp_path)
        gate = tmp_path / "gate"
        job = f"printf 'half '; until [ -e {gate} ]; do sleep 0.01; done; echo line"
        infra.launch("one", task(tmp_path, job))
        log = tmp_path / "instances" / "one" / "log.txt"
        until(infra, "one", lambda _: log.read_text() == "half ")
        lines = infra.logs("one", follow=True)
        with ThreadPoolExecutor(1) as reader:
            first = reader.submit(next, lines)
            time.sleep(0.3)
            gate.touch()
            assert first.result(LIMIT_SECONDS) == "half line\n"
        assert list(lines) == []

    def test_a_damaged_record_hides_no_live_instance(self, tmp_path: Path) -> None:
        infra = LocalInfra(tmp_path)
        infra.launch("mine", task(tmp_path, "echo up; sleep 1000"))
        infra.launch("other", task(tmp_path, "true"))
        until_logged(infra, "mine", "up")
        until(infra, "other", gone)
        (tmp_path / "instances" / "mine" / "instance.json").write_text("{")
        assert [(state.run, state.is_live) for state in infra.instances()] == [
            ("mine", True),
            ("other", False),
        ]
        infra.down("mine")
        state = infra.state("mine")
        assert state is not None
        assert not state.is_live

    def test_a_full_disk_does_not_hide_that_it_is_gone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        infra = LocalInfra(tmp_path)
        infra.launch("mine", task(tmp_path, "echo up; sleep 1000"))
        until_logged(infra, "mine", "up")
        instance = read_instance(tmp_path / "instances" / "mine")
        assert instance is not None
        os.kill(instance.agent_pid, signal.SIGKILL)
        for process in members_of(instance.agent_pid, instance.agent_started):
            os.kill(process.pid, signal.SIGKILL)

        def full(folder: Path, _instance: object) -> None:
            raise StoreFull(f"no space is left for {folder}")

        monkeypatch.setattr(local, "write_instance", full)
        until(infra, "mine", gone)
        assert not (tmp_path / "instances" / "mine" / "workdir").exists()

    def test_what_outlives_the_instance_is_its_record(self, tmp_path: Path) -> None:
        infra = LocalInfra(tmp_path)
        infra.launch("one", task(tmp_path, "mkdir big; echo x > big/file; ln -s /etc ../link"))
        until(infra, "one", gone)
        left = sorted(path.name for path in (tmp_path / "instances" / "one").iterdir())
        assert left == ["instance.json", "log.txt", "task.yaml"]

    def test_a_workdir_that_is_not_there_is_told(self, tmp_path: Path) -> None:
        infra = LocalInfra(tmp_path)
        text = yaml.safe_dump({"workdir": "/nowhere", "envs": {}, "setup": "", "run": ""})
        with pytest.raises(CloudError, match=r"could not be started: .*/nowhere"):
            infra.launch("one", text)
        state = until(infra, "one", gone)
        assert state.exit_code is None
        assert any("/nowhere" in line for line in infra.logs("one", follow=False))

    def test_what_this_machine_is_worked_with_comes_along_and_is_written_nowhere(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        known = {
            "AWS_PROFILE": "speech",
            "CUDA_VISIBLE_DEVICES": "5",
            "LD_LIBRARY_PATH": "/opt/cuda/lib64",
            "HTTPS_PROXY": "http://me:secret@proxy.corp:3128",
            "REQUESTS_CA_BUNDLE": "/etc/corp.pem",
        }
        for name, value in known.items():
            monkeypatch.setenv(name, value)
        infra = LocalInfra(tmp_path)
        infra.launch(
            "one",
            task(tmp_path, '[ "${HTTPS_PROXY#*@}" = proxy.corp:3128 ] && env | grep -v PROXY'),
        )
        lines = list(infra.logs("one", follow=True))
        shown = {f"{name}={value}\n" for name, value in known.items() if name != "HTTPS_PROXY"}
        assert shown <= set(lines)
        folder = tmp_path / "instances" / "one"
        texts = [path.read_text(encoding="utf-8") for path in folder.iterdir() if path.is_file()]
        assert len(texts) == 3
        assert not [text for text in texts if "secret" in text]
        assert "speech" not in (folder / "task.yaml").read_text(encoding="utf-8")

    def test_the_terminal_s_signals_do_not_reach_it(self, tmp_path: Path) -> None:
        infra = LocalInfra(tmp_path)
        infra.launch("one", task(tmp_path, "echo here; sleep 1000"))
        instance = read_instance(tmp_path / "instances" / "one")
        assert instance is not None
        pid = instance.agent_pid
        session = subprocess.run(
            ["ps", "-o", "sid=", "-p", str(pid)], capture_output=True, text=True, check=True
        )
        assert int(session.stdout) == pid != os.getsid(0)
        infra.down("one")

    def test_an_interrupted_launch_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        infra = LocalInfra(tmp_path)

        def interrupt(*_arguments: object, **_options: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(infra, "_await_acceptance", interrupt)
        with pytest.raises(KeyboardInterrupt):
            infra.launch("one", task(tmp_path, "sleep 1000"))
        instance = read_instance(tmp_path / "instances" / "one")
        assert instance is not None
        assert members_of(instance.agent_pid, instance.agent_started) == []
        state = infra.state("one")
        assert state is not None
        assert gone(state)
