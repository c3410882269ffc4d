"""Every link, path, command, option, setting and make target in the documents exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from documents import TOP, Document, document, documents
from fintts_cli.app import build
from fintts_cli.settings.read import known_keys
from fintts_cli.settings.sources import variable_name

SOURCES = ("cli", "cost", "store", "inputs", "remote_trainer", "task_templates", "tests")
ROOTS = (*SOURCES, "benchmarks", "examples", "docs")
FOREIGN_FILES = {"torch.py"}
FOREIGN_OPTIONS = {"--update-golden"}


def links(text: str) -> list[str]:
    """The targets of all links that stay in the repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target for target in found if not re.match(r"https?:", target)]


def anchors(text: str) -> set[str]:
    """The names by which a document's headings are linked."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def is_broken(target: str, source: Document) -> bool:
    """Whether a link leads nowhere."""
    name, _, anchor = target.partition("#")
    path = source.folder / name if name else TOP / source.name
    if not path.exists():
        return True
    return bool(anchor) and anchor not in anchors(path.read_text(encoding="utf-8"))


def paths(source: Document) -> set[str]:
    """What is named as a file or folder of the repository."""
    rooted = re.findall(rf"(?<![\w./-])(?:{'|'.join(ROOTS)})/[\w./-]*", source.text)
    files = [
        word
        for code in source.inline_code
        for word in code.replace(":", " ").split()
        if re.fullmatch(r"[\w./-]+\.(?:py|sh|j2|csv|toml)", word)
    ]
    return {each.rstrip("./") for each in (*rooted, *files)} - FOREIGN_FILES


def places(path: str, source: Document) -> list[Path]:
    """What is called so: from the top, beside the document, or in a package of ours."""
    direct = [folder / path for folder in (TOP, source.folder) if (folder / path).exists()]
    return direct or [found for root in SOURCES for found in (TOP / root).rglob(path)]


def lacks(path: str, name: str, source: Document) -> bool:
    """Whether no such file defines that function or class."""
    definition = re.compile(rf"^(?:def|class) {name}\b", re.MULTILINE)
    files = places(path, source)
    return not any(definition.search(file.read_text(encoding="utf-8")) for file in files)


def faults(words: list[str]) -> Iterator[str]:
    """What of a command does not exist."""
    command: Any = typer.main.get_command(build())
    for position, word in enumerate(words):
        below = getattr(command, "commands", None)
        if below is None or word.startswith("-"):
            yield from _unknown_options(words[position:], [command])
            return
        if word not in below:
            yield f"no command {word}"
            return
        command = below[word]


def _unknown_options(words: list[str], commands: list[Any]) -> list[str]:
    params = [param for command in commands for param in command.params]
    known = {"--help"} | {name for param in params for name in (*param.opts, *param.secondary_opts)}
    typed = [part for word in words for part in word.split("/") if re.match(r"--?[a-z]", part)]
    return [f"no option {each}" for each in typed if each.partition("=")[0] not in known]


def all_commands(command: Any) -> list[Any]:
    """It and everything below it."""
    below = getattr(command, "commands", {}).values()
    return [command, *(one for each in below for one in all_commands(each))]


@pytest.mark.parametrize("source", documents(), ids=lambda source: source.name)
def test_every_link_leads_somewhere(source: Document) -> None:
    assert [target for target in links(source.text) if is_broken(target, source)] == []


@pytest.mark.parametrize("source", documents(), ids=lambda source: source.name)
def test_every_path_exists(source: Document) -> None:
    assert [path for path in sorted(paths(source)) if not places(path, source)] == []


def test_every_decision_has_a_number_of_its_own() -> None:
    files = sorted((TOP / "docs/adr").glob("*.md"))
    numbers = [int(file.name[:4]) for file in files]
    assert numbers == [*range(1, len(files) + 1)]
    titles = [file.read_text(encoding="utf-8").splitlines()[0] for file in files]
    assert [title.partition(".")[0] for title in titles] == [f"# {number}" for number in numbers]


def test_every_call_of_the_walk_is_defined_where_it_says() -> None:
    source = document("ARCHITECTURE.md")
    calls = [code.split(": ") for code in source.inline_code if re.fullmatch(r"\S+\.py: \w+", code)]
    assert len(calls) > 9
    assert [call for call in calls if lacks(call[0], call[1], source)] == []
    assert lacks("workplace.py", "read_nothing", source)


@pytest.mark.parametrize("source", documents(), ids=lambda source: source.name)
def test_every_command_and_option_exists(source: Document) -> None:
    found = {" ".join(words): list(faults(words)) for words in source.commands}
    assert {command: wrong for command, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("source", documents(), ids=lambda source: source.name)
def test_every_option_that_stands_alone_exists(source: Document) -> None:
    typed = [code.split()[0] for code in source.inline_code if code.startswith("--")]
    ours = [each for each in typed if each not in FOREIGN_OPTIONS]
    assert _unknown_options(ours, all_commands(typer.main.get_command(build()))) == []


@pytest.mark.parametrize("source", documents(), ids=lambda source: source.name)
def test_every_setting_exists(source: Document) -> None:
    keys = known_keys()
    sections = "|".join(sorted({key.partition(".")[0] for key in keys if "." in key}))
    named = re.findall(
        rf"(?<![\w./-])(?:{sections})\.(?!py\b)[a-z_]+", " ".join(source.inline_code)
    )
    assert [key for key in named if key not in keys] == []
    read = {variable_name(key) for key in keys} | {"FINTTS_CONFIG"}
    variables = set(re.findall(r"FINTTS_[A-Z_]*[A-Z]", source.text)) - read
    assert {name for name in variables if not _is_in_the_sources(name)} == set()


def _is_in_the_sources(word: str) -> bool:
    """Variables that a task sets, or that the trainer reads."""
    files = (path for root in SOURCES if root != "tests" for path in (TOP / root).rglob("*.*"))
    texts = (path for path in files if path.suffix in (".py", ".sh", ".j2"))
    bare = word.removeprefix("FINTTS_")
    return any(re.search(rf"\b({word}|{bare})\b", path.read_text("utf-8")) for path in texts)


@pytest.mark.parametrize("source", documents(), ids=lambda source: source.name)
def test_every_make_target_exists(source: Document) -> None:
    makefile = (TOP / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    code = [
        *source.inline_code,
        *(line for each in source.shell_blocks for line in each.split("\n")),
    ]
    named = {found[1] for text in code if (found := re.match(r"make ([\w-]+)", text))}
    assert named - targets == set()


def test_the_readme_names_all_of_it() -> None:
    """A search that finds nothing would find nothing wrong."""
    readme = document("README.md")
    assert len(links(readme.text)) > 8
    assert len(paths(readme)) > 8
    assert len(readme.commands) > 12
    assert {"make demo", "make test"} <= {
        line.partition("  ")[0] for line in readme.shell_blocks[0].splitlines()
    }
    documentation = {name.name for name in (TOP / "docs").glob("*.md")}
    assert {f"docs/{name}" for name in documentation} <= set(links(readme.text))


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (["cloud", "lunch"], "no command lunch"),
        (["estimate", "--sample", "3"], "no option --sample"),
        (["estimate", "--samples=3"], None),
        (["cloud", "offers", "--spot/--on-demand"], None),
        (["cloud", "ps", "-x"], "no option -x"),
        (["cloud", "down", "RUN"], None),
    ],
)
def test_the_search_finds_what_does_not_exist(command: list[str], fault: str | None) -> None:
    assert next(faults(command), None) == fault


def test_the_search_finds_broken_links_and_paths() -> None:
    source = Document("README.md", "[a](none.md) [b](README.md#none) `cost/none.py` `none.sh`")
    assert [is_broken(target, source) for target in links(source.text)] == [True, True]
    assert [places(path, source) for path in paths(source)] == [[], []]
