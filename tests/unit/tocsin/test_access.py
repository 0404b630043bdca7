"""Roles and secrets: what covers what, and what is kept of a secret."""

import pytest
from pydantic import SecretStr

from tocsin.access import hash_of, new_secret
from tocsin.bearer import bearer, is_secret
from tocsin.roles import Role, least


def test_each_role_covers_those_before_it() -> None:
    assert [[one.covers(other) for other in Role] for one in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    assert least(Role.ADMIN, Role.OPERATOR) is least(Role.OPERATOR, Role.ADMIN) is Role.OPERATOR


def test_secrets_are_long_and_never_the_same() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert min(map(len, made)) >= 43
    assert hash_of("a") != hash_of("b")
    assert len(hash_of("\udcff" * 5)) == 64


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Basic abc", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("", None),
    ],
)
def test_a_bearer_is_read_from_its_header(header: str, token: str | None) -> None:
    assert bearer(header) == token


def test_a_secret_is_itself_and_nothing_else() -> None:
    secret = SecretStr("sécret")
    assert is_secret("sécret", secret)
    assert not any(is_secret(other, secret) for other in ("secret", "", "sécret ", "\udce9"))
