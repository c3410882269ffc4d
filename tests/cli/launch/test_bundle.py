"""The bundle: the instance's side alone, the same from a checkout and from an installed wheel."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from checks import every
from fintts_cli.errors import UsageProblem
from fintts_cli.launch.bundle import PACKAGES, write_bundle
from fintts_store.runs.samples import read_samples
from fintts_templates.instance.check_requirements import read_pins
from parity_fixtures import HERE
from tiny_run import start_run

# What an instance does not have is not there for a search, and an error for an import.
GUARD = "import sys; sys.modules.update(dict.fromkeys({refused!r}))"
REFUSED = ("typer", "rich", "sky", "click", "fintts_cli", "fintts_templates", "platformdirs")
EVERYTHING = f"""
import pkgutil, importlib, pathlib
for package in {PACKAGES!r}:
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, package + "."):
        if not module.name.endswith("__main__"):
            loaded = importlib.import_module(module.name)
            assert pathlib.Path(loaded.__file__).is_relative_to(pathlib.Path.cwd()), loaded.__file__
print("all imported")
"""


MEASURING = ("fintts_trainer/scoring", "fintts_inputs/text")
NEEDED_TO_MEASURE = ("jiwer", "num2words", "onnxruntime")
SEND = """
import sys, pathlib
from fintts_cli.launch import bundle
print(bundle.__file__, bundle.write_bundle(pathlib.Path(sys.argv[1])).digest)
"""
CHECKOUT = Path(__file__).parents[3]
INSTANCE = CHECKOUT / "task_templates" / "fintts_templates" / "instance"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle") / "bundle").path


def on_instance(bundle: Path, *arguments: str, **envs: str) -> subprocess.CompletedProcess[str]:
    """Python as it is there: the bundle alone on its path, and none of the laptop's packages."""
    guard = bundle.parent / "guard"
    guard.mkdir(exist_ok=True)
    (guard / "sitecustomize.py").write_text(GUARD.format(refused=REFUSED))
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=bundle,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{bundle}:{guard}", **envs},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_holds_source_and_nothing_of_the_laptop(bundle: Path) -> None:
    names = {path.name for path in bundle.iterdir()}
    assert names == {
        "fintts_trainer",
        "fintts_inputs",
        "fintts_store",
        "fintts_cost",
        "check_requirements.py",
        "requirements.in",
        "requirements.txt",
    }
    files = [path for path in bundle.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".py", ".typed", ".txt", ".in"}


def test_its_digest_is_of_its_content(bundle: Path, tmp_path: Path) -> None:
    first, again = write_bundle(tmp_path / "one"), write_bundle(tmp_path / "two")
    assert first.digest == again.digest
    (tmp_path / "two" / "left over").write_text("x")
    with pytest.raises(UsageProblem, match="not empty"):
        write_bundle(tmp_path / "two")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install` would put into site-packages: a wheel's files, and no checkout's."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(CHECKOUT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site-packages")
    return folder / "site-packages"


def from_wheel(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=installed.parent,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(installed), "HOME": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_installed_wheel_sends_the_same_code(installed: Path, tmp_path: Path) -> None:
    sent = from_wheel(installed, "-c", SEND, str(tmp_path / "sent"))
    assert sent.returncode == 0, sent.stderr
    where, digest = sent.stdout.split()
    assert Path(where).is_relative_to(installed)
    assert digest == write_bundle(tmp_path / "here").digest


@pytest.mark.parametrize(
    "arguments",
    [
        ["estimate", "--reference-run"],
        ["estimate", "--samples", "2000", "--seconds-per-step", "5.4"],
        ["cloud", "offers", "--gpus", "H100"],
    ],
)
def test_an_installed_wheel_has_all_that_commands_need(
    installed: Path, arguments: list[str]
) -> None:
    done = from_wheel(installed, "-m", "fintts_cli", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_guard_refuses(bundle: Path) -> None:
    for name in REFUSED:
        refused = on_instance(bundle, "-c", f"import {name}")
        assert refused.returncode == 1
        assert "ModuleNotFoundError" in refused.stderr


class Imports(ast.NodeVisitor):
    """Top-level names that a module imports when it runs, wherever in it that is."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_Import(self, node: ast.Import) -> None:
        self.names |= {alias.name.partition(".")[0] for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module and not node.level:
            self.names.add(node.module.partition(".")[0])

    def visit_If(self, node: ast.If) -> None:
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        self.generic_visit(node)


def third_party_imports(source: Path) -> set[str]:
    imports = Imports()
    imports.visit(ast.parse(source.read_text(encoding="utf-8")))
    return imports.names - sys.stdlib_module_names - set(PACKAGES)


def test_everything_that_it_imports_is_pinned(bundle: Path) -> None:
    sources = set(bundle.rglob("*.py"))
    measuring = {path for part in MEASURING for path in (bundle / part).rglob("*.py")}
    assert len(measuring) > 5
    imported = {name for path in sources - measuring for name in third_party_imports(path)}
    assert {"torch", "pydantic", "numpy"} <= imported
    assert unpinned(imported, read_pins(bundle / "requirements.in")) == set()
    write_bundle(bundle.parent / "measuring", measures=True)
    pins = read_pins(bundle.parent / "measuring" / "requirements.in")
    besides = {name for path in measuring for name in third_party_imports(path)}
    assert unpinned(imported | besides, pins) == set()
    assert unpinned(besides, read_pins(bundle / "requirements.in")) == set(NEEDED_TO_MEASURE)


def unpinned(imported: set[str], pins: dict[str, str]) -> set[str]:
    providers = packages_distributions()
    return {name for name in imported if not pins.keys() & set(providers.get(name, ()))}


def test_a_run_that_measures_nothing_needs_no_package_for_it(bundle: Path) -> None:
    without = f"import sys; sys.modules.update(dict.fromkeys({NEEDED_TO_MEASURE!r}))"
    run = on_instance(
        bundle, "-c", f"{without}; import fintts_trainer.__main__, fintts_trainer.train"
    )
    assert run.returncode == 0, run.stderr
    measuring = on_instance(bundle, "-c", f"{without}; import fintts_trainer.scoring.open")
    assert measuring.returncode != 0


def test_every_module_imports_from_the_bundle_alone(bundle: Path) -> None:
    imported = on_instance(bundle, "-c", EVERYTHING)
    assert imported.stdout == "all imported\n", imported.stderr


def test_a_run_is_trained_from_the_bundle_alone(bundle: Path, tmp_path: Path) -> None:
    run = start_run(
        tmp_path,
        dict(
            training={"max_steps": 2},
            validation={"every": 2, "fraction": 0.2},
            checkpoints={"every": 2},
            samples={"held_out": 1, "max_seconds": 0.2},
        ),
        codec=HERE / "codec_for_fish_s1_tiny",
    )
    trained = on_instance(
        bundle,
        "-m",
        "fintts_trainer",
        "run",
        FINTTS_STORE=run.store.url,
        FINTTS_RUN=run.name,
        FINTTS_WORKSPACE=str(tmp_path / "workspace"),
        HOME=str(tmp_path),
    )
    assert trained.returncode == 0, trained.stderr
    assert "ended at step 2: max_steps" in trained.stderr
    spoken = read_samples(run.store, run.name)
    assert spoken is not None
    assert {who for who, _ in spoken.files} == {"original", "base", 2}


def test_the_check_of_the_requirements(bundle: Path) -> None:
    fine = on_instance(bundle, "check_requirements.py", "requirements.in")
    assert (fine.returncode, fine.stderr) == (0, "")
    (bundle.parent / "more.txt").write_text("numpy==0.1\nnever-heard-of==1.0\n")
    lacking = on_instance(bundle, "check_requirements.py", str(bundle.parent / "more.txt"))
    assert lacking.returncode == 1
    assert "numpy 0.1 is pinned" in lacking.stderr
    assert "never-heard-of 1.0 is pinned, but none is installed" in lacking.stderr


def test_the_pins_are_those_of_the_constraints(bundle: Path) -> None:
    constraints = read_pins(CHECKOUT / "constraints.txt")
    pins = read_pins(bundle / "requirements.in")
    assert pins
    assert pins.items() <= constraints.items()
    assert read_pins(INSTANCE / "eval.in").items() <= constraints.items()


# --- the lock -------------------------------------------------------------------------------------

DISTRIBUTION = re.compile(r"(?P<name>[a-z0-9.-]+)==(?P<version>\S+)")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")
LINUX = {
    "os_name": "posix",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "python_version": "3.11",
    "python_full_version": "3.11.9",
}
OUTDATED = "run `make lock`"


LOCKS = {
    "requirements.txt": ("requirements.in",),
    "requirements-eval.txt": ("requirements.in", "eval.in"),
}
"""lock → what it locks"""


def pinned_in(lock: str) -> dict[str, str]:
    return {name: one for file in LOCKS[lock] for name, one in read_pins(INSTANCE / file).items()}


def locked(lock: str) -> dict[str, tuple[str, list[str]]]:
    """Distribution → version and hashes."""
    text = (INSTANCE / lock).read_text().replace("\\\n", " ")
    found: dict[str, tuple[str, list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        head, *hashes = line.split()
        match = DISTRIBUTION.fullmatch(head)
        assert match is not None, line
        assert every(HASH.fullmatch(one) for one in hashes), line
        found[match["name"]] = (match["version"], hashes)
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_has_hashes_of_every_distribution(name: str) -> None:
    assert len(locked(name)) > 50
    assert [name for name, (_, hashes) in locked(name).items() if not hashes] == []


@pytest.mark.parametrize("of", LOCKS)
def test_the_lock_is_of_these_pins_and_constraints(of: str) -> None:
    lock = {name: version for name, (version, _) in locked(of).items()}
    assert pinned_in(of).items() <= lock.items(), OUTDATED
    constraints = {
        str(canonicalize_name(name)): version
        for name, version in read_pins(CHECKOUT / "constraints.txt").items()
    }
    differing = {
        name for name in lock.keys() & constraints.keys() if lock[name] != constraints[name]
    }
    assert differing == set(), OUTDATED
    of_cuda = {name for name in lock.keys() - constraints.keys() if not name.startswith("nvidia-")}
    assert of_cuda <= {
        *("cuda-bindings", "cuda-pathfinder", "cuda-toolkit", "triton"),
        "setuptools",  # triton's
    }, "never tried"


@pytest.mark.parametrize("of", LOCKS)
def test_the_lock_lacks_nothing_that_the_trainer_needs_on_linux(of: str) -> None:
    lock, needed = locked(of), set(pinned_in(of))
    looked_at: set[str] = set()
    while missing := needed - looked_at:
        name = missing.pop()
        looked_at.add(name)
        for text in requires(name) or []:
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate({**LINUX, "extra": ""}):
                needed.add(canonicalize_name(one.name))
    assert needed - lock.keys() == set(), OUTDATED
