"""The documents of the repository, and what stands in them: blocks, inline code, commands."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parents[2]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
GROUPS = ("cloud", "data", "store")


@dataclass(frozen=True)
class Document:
    """A Markdown file; `name` is its path from the top of the repository."""

    name: str
    text: str

    @property
    def folder(self) -> Path:
        """Where its relative links start."""
        return (TOP / self.name).parent

    @property
    def shell_blocks(self) -> list[str]:
        """The fenced blocks that are marked as sh."""
        return [body for language, body in FENCE.findall(self.text) if language == "sh"]

    @property
    def inline_code(self) -> list[str]:
        """What stands in backticks, outside of the blocks."""
        found = re.findall(r"`((?:[^`\n]|\n(?!\n))+)`", FENCE.sub("", self.text))
        return [" ".join(code.split()) for code in found]

    @property
    def commands(self) -> list[list[str]]:
        """Every fintts command that is named, as its words behind `fintts`."""
        lines = [line for block in self.shell_blocks for line in block.splitlines()]
        found = [_words(text) for text in (*lines, *self.inline_code)]
        return [words for words in found if words]


def documents() -> list[Document]:
    """All that people read."""
    names = [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "benchmarks/README.md",
        "examples/kalevala/README.md",
        *sorted(str(path.relative_to(TOP)) for path in (TOP / "docs").rglob("*.md")),
    ]
    return [Document(name, (TOP / name).read_text(encoding="utf-8")) for name in names]


def document(name: str) -> Document:
    """The one of this name."""
    return next(each for each in documents() if each.name == name)


def without_comment(line: str) -> str:
    """A line of a block, as it is typed."""
    return re.sub(r"(^|\s+)#.*", "", line)


def _words(text: str) -> list[str]:
    """`FINTTS_PROCESSES=2 fintts train > log` → ["train"]; nothing where it is no such command."""
    first = re.split(r"\s*(?:&&|[|&>;])", without_comment(text))[0]
    words = shlex.split(first) if first.count('"') % 2 == 0 and "'" not in first else first.split()
    while words and (words[0] == "nohup" or re.fullmatch(r"[A-Z_]+=.*", words[0])):
        words = words[1:]
    if words[:1] == ["fintts"]:
        return words[1:]
    is_short = len(words) > 1 and words[0] in GROUPS and words[1].isidentifier()
    return words if is_short else []
