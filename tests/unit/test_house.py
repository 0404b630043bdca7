"""Rules of the repository that no linter knows."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import consul  # pyright: ignore[reportMissingTypeStubs]  # has none
import pytest
import yaml

from bot.rules.policy import EVENT_RULES
from bot.rules.ruleset import RULES
from tests.generate.settings_page import MODELS, PAGE, page
from tocsin.settings import Settings, is_secret, names

ROOT = Path(__file__).parents[2]
ENVS = ROOT / "envs"
LOCKS = ("requirements.lock", "tocsin/stack/kafka/java.lock", "tocsin/stack/kafka/client.lock")
# Written in two parts, since this file is looked at too.
REGISTRIES = (
    ("py", "pi.org"),
    ("python", "hosted.org"),
    ("registry.", "npmjs"),
    ("repo.", "maven"),
    ("repo1.", "maven"),
    ("deb.", "debian"),
    ("snapshot.", "debian"),
    ("proxy.", "golang"),
    ("crates", ".io"),
)
OUTSIDE_HOSTS = re.compile("|".join(re.escape(left + right) for left, right in REGISTRIES))
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:root|work|home/\w+)/")


def tracked() -> Iterator[tuple[str, str]]:
    """Every tracked text file: path, content."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert listed, "git lists nothing: no rule would be looked at"
    for name in filter(None, listed.split("\0")):
        try:
            yield name, (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue


def test_the_folder_consul_can_never_hide_the_library() -> None:
    assert not list((ROOT / "consul").rglob("*.py"))
    assert not list((ROOT / "tests").rglob("consul/__init__.py"))
    assert not (ROOT / "consul.py").exists()
    assert "site-packages" in str(consul.__file__)


def test_no_tracked_file_names_a_machine_or_a_registry() -> None:
    itself = Path(__file__).relative_to(ROOT).as_posix()
    found = [
        f"{name}: {match[0]}"
        for name, text in tracked()
        if name != itself
        for match in (MACHINE_PATHS.search(text), OUTSIDE_HOSTS.search(text))
        if match
    ]
    assert found == []


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_files_pin_by_hash_and_name_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    requirements = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    assert requirements
    for requirement in requirements:
        assert re.match(r"[\w.\-\[\]]+==\S+", requirement), requirement
        assert "--hash=sha256:" in requirement, requirement
    assert "://" not in text
    assert "--index-url" not in text


def test_the_page_lock_names_no_host() -> None:
    for lock in ("logsvc/web/package-lock.json", "tests/bullmq/package-lock.json"):
        text = (ROOT / lock).read_text()
        assert '"integrity"' in text
        assert not re.search(r'"resolved": "https?://', text), lock


def test_every_setting_is_in_the_env_file_of_its_service() -> None:
    for model in MODELS:
        file = ENVS / f"{'tocsin' if model is Settings else model.service}.env"
        documented = set(re.findall(r"^#?(\w+)=", file.read_text(), re.MULTILINE))
        own = set(names(model)) - (set() if model is Settings else set(names(Settings)))
        expected = {f"{name}_FILE" if is_secret(model, name) else name for name in own}
        assert documented == expected, file.name


def test_every_line_of_an_env_file_is_a_comment_or_a_variable_with_one() -> None:
    for file in ENVS.glob("*.env"):
        before = ""
        for line in file.read_text().splitlines():
            assert not line or re.match(r"#|[A-Z][A-Z0-9_]*=", line), f"{file.name}: {line}"
            if re.match(r"[A-Z]", line):
                assert before.startswith(("#", *"ABCDEFGHIJKLMNOPQRSTUVWXYZ")), f"{file.name}: {line} has no comment"
            before = line


def test_the_settings_page_is_the_one_the_code_makes() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.generate.settings_page"


def test_only_the_named_files_read_the_environment() -> None:
    """ruff bans os.environ; this bans its other names."""
    for package in ("bridge", "bot", "logsvc"):
        for file in (ROOT / package).rglob("*.py"):
            called = {
                ast.unparse(node) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)
            }
            assert not called & {"os.getenv", "os.environ", "os.environb"}, file


def test_every_ignore_names_its_code_and_its_reason() -> None:
    bare = re.compile(r"#\s*(?:type:\s*ignore|noqa|pyright:\s*ignore)(?![:\[]|\w)")
    unexplained = re.compile(r"#\s*(?:type:\s*ignore\[[^\]]*\]|noqa:\s*[A-Z0-9, ]+?|pyright:\s*ignore\[[^\]]*\])\s*$")
    found = [
        f"{name}:{number}"
        for name, text in tracked()
        if name.endswith(".py") and name != Path(__file__).relative_to(ROOT).as_posix()
        for number, line in enumerate(text.splitlines(), 1)
        if bare.search(line) or unexplained.search(line)
    ]
    assert found == []


def anchors(text: str) -> set[str]:
    """Where a link may lead in a Markdown text: its headings, as forges name them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_and_make_targets_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for name, text in tracked():
        if not name.endswith(".md"):
            continue
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert ((ROOT / name).parent / link).exists(), f"{name} links to {link}"
        for file, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", text):
            there = ((ROOT / name).parent / file).read_text() if file else text
            assert anchor in anchors(there), f"{name} links to {file}#{anchor}"
        assert set(re.findall(r"`make ([a-z]+)`|^make ([a-z]+)", text, re.MULTILINE)) <= {
            pair for target in targets for pair in ((target, ""), ("", target))
        }, name


def test_every_alert_and_every_rule_of_the_bot_has_its_section_in_the_runbook() -> None:
    page = "docs/operations.md"
    _, _, runbook = (ROOT / page).read_text().partition("\n## Runbook\n")
    files = [yaml.safe_load(path.read_text()) for path in (ROOT / "grafana/prometheus/rules").glob("*.yml")]
    rules = [rule for file in files for group in file["groups"] for rule in group["rules"]]
    alerts = {rule["alert"]: rule["annotations"] for rule in rules if "alert" in rule}
    assert {name: notes.get("runbook_url") for name, notes in alerts.items()} == {
        name: f"{page}#{name.lower()}" for name in alerts
    }
    sections = re.findall(r"^### (.+)$", runbook, re.MULTILINE)
    assert sorted(sections) == sorted([*alerts, *(rule.name for rule in (*EVENT_RULES, *RULES))])
