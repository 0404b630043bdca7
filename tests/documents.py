"""The commands that the documents tell people to type."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
FILES = sorted(
    file
    for pattern in ("*.md", "docs/*.md", "consul/*.md", "grafana/*.md", "kustomize/*.md", "proxy/*.md")
    for file in ROOT.glob(pattern)
)
PROGRAMS = r"tocsin|python -m|make|docker compose|kubectl|kustomize|consul|curl|sh|tests/\w+\.sh|\.ci/\w+"
_LOOP_WORDS = {"do", "done", "then", "fi"}


class Typed(NamedTuple):
    """One simple command as it stands in a document: assignments before it, its words."""

    file: str
    assigned: tuple[str, ...]
    words: tuple[str, ...]


def typed() -> Iterator[Typed]:
    """Every command of every document: those of `sh` blocks, and those in a sentence that begin with PROGRAMS."""
    for file in FILES:
        text, name = file.read_text(), file.relative_to(ROOT).as_posix()
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            yield from parse(name, block)
        for command in re.findall(rf"`((?:{PROGRAMS}) [^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)):
            yield from parse(name, re.sub(r"[\[\]]", "", command))


def parse(file: str, text: str) -> Iterator[Typed]:
    """Take shell text apart as far as documents use it: no here-documents, no nesting, `#` only before comments."""
    plain = re.sub(r"(^|\s)#.*$", "", text.replace("\\\n", " "), flags=re.MULTILINE)
    lexer = shlex.shlex(plain, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    command: list[str] = []
    is_file = False
    for word in [*lexer, "\n"]:
        if not set(word) <= set("();<>|&\n"):
            if not is_file:
                command.append(word)
            is_file = False
        elif word in ("<", ">"):
            is_file = True
        elif command:
            yield from _simple(file, command)
            command = []


def _simple(file: str, command: list[str]) -> Iterator[Typed]:
    words = [word for word in command if word not in _LOOP_WORDS]
    if words[:1] == ["export"]:
        words = words[1:]
    count = next((n for n, word in enumerate(words) if not re.match(r"[A-Z_]+=", word)), len(words))
    if words[:1] != ["for"] and words:
        yield Typed(file, tuple(words[:count]), tuple(words[count:]))
