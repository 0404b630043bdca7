"""The data directory has one owner and keeps its secrets to itself."""

import re
from pathlib import Path

import pytest

from tocsin.stack.data import AlreadyRunning, keep_settings, kept_secrets, kept_settings, owned, sandbox_bot_token


def test_a_second_owner_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    with owned(tmp_path), pytest.raises(AlreadyRunning, match=r"process \d+.*--data DIR"), owned(tmp_path):
        pass


def test_the_directory_is_free_again_after_its_owner(tmp_path: Path) -> None:
    with owned(tmp_path / "new"):
        pass
    with owned(tmp_path / "new") as path:
        assert path.is_dir()


def test_secrets_are_made_once_and_only_their_owner_can_read_them(tmp_path: Path) -> None:
    first = kept_secrets(tmp_path)
    assert kept_secrets(tmp_path) == first
    assert len(set(first.values())) == len(first)
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "secrets").iterdir()} == {0o600}


def test_the_sandbox_token_has_telegrams_form(tmp_path: Path) -> None:
    assert re.fullmatch(r"\d{8,10}:[A-Za-z0-9_-]{35}", sandbox_bot_token(tmp_path))


def test_what_a_start_chose_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    assert kept_settings(tmp_path) == {}
    for password in ("first", "second"):
        keep_settings(tmp_path, {"DATABASE_URL": password})
    assert kept_settings(tmp_path) == {"DATABASE_URL": "second"}
    (file,) = (tmp_path / "secrets").iterdir()
    assert file.stat().st_mode & 0o077 == 0
    file.write_text("[")
    assert kept_settings(tmp_path) == {}
