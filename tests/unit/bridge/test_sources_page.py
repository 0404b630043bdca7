"""docs/sources.md: its examples are read without a complaint, and its rules are those that are tested."""

import re
from pathlib import Path

from bridge.settings import read_sources

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "sources.md").read_text()


def rules(page: str) -> list[str]:
    found = re.search(r"ACL SETUSER tocsin (on >PASSWORD [^`]+)`", page)
    assert found is not None
    return found[1].split()


def test_every_example_is_a_sources_file(tmp_path: Path) -> None:
    """With files that are there in place of the ones it names."""
    (tmp_path / "secret").write_text("secret\n")
    examples = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    modes: list[tuple[str, str]] = []
    for example in examples:
        file = tmp_path / "sources.toml"
        file.write_text(re.sub(r'"/[^"]+"', f'"{tmp_path}/secret"', example))
        modes += [(source.mode, source.read_from) for source in read_sources(file)]
    assert set(modes) >= {("standalone", "primary"), ("standalone", "replica"), ("sentinel", "primary")}
    assert ("cluster", "primary") in modes


def test_rules_of_the_user_are_the_same_in_both_documents() -> None:
    assert rules(PAGE) == rules((DOCS / "operations.md").read_text())
