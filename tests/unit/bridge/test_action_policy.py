"""The operator's policy: the first rule that fits decides, and a rule that is none is named."""

import pytest

from bridge.actions.policy import ACTIONS, parse_policy


def allowed(text: str, env: str, queue: str) -> set[str]:
    policy = parse_policy(text)
    return {action for action in ACTIONS if policy.refusal(action, env, queue) is None}


ALL = set(ACTIONS)


@pytest.mark.parametrize(
    ("text", "env", "queue", "expected"),
    [
        ("", "prod", "mail", ALL),
        (" ; ;", "prod", "mail", ALL),
        ("payments-*: no retry", "prod", "payments-eu", ALL - {"retry"}),
        ("payments-*: no retry", "prod", "mail", ALL),
        ("payments-*: no retry, remove", "staging", "payments-eu", ALL - {"retry", "remove"}),
        ("prod/payments-*: no  retry ,remove", "prod", "payments-eu", ALL - {"retry", "remove"}),
        ("prod/payments-*: no retry", "staging", "payments-eu", ALL),
        ("prod/*: only retry, promote", "prod", "a/b", {"retry", "promote"}),
        ("*/a/b: nothing", "prod", "a/b", set[str]()),
        ("a/b: nothing", "prod", "a/b", ALL),
        ("*: nothing", "prod", "mail", set[str]()),
        ("vip: all; *: nothing", "prod", "vip", ALL),
        ("*: nothing; vip: all", "prod", "vip", set[str]()),
        ("Mail: nothing", "prod", "mail", ALL),
        ("p[ae]y: nothing", "prod", "pay", set[str]()),
        ("payments-*: no retry", "prod", "{payments-eu}", ALL - {"retry"}),
    ],
)
def test_the_first_rule_that_fits_decides(text: str, env: str, queue: str, expected: set[str]) -> None:
    assert allowed(text, env, queue) == expected


def test_a_refusal_is_the_rule_as_it_was_written() -> None:
    policy = parse_policy("x: all; payments-*:  no retry")
    assert policy.refusal("retry", "prod", "payments-eu") == "payments-*: no retry"
    assert str(policy) == "x: all; payments-*: no retry"


@pytest.mark.parametrize(
    "wrong",
    ["payments", ": no retry", "mail:", "mail: no", "mail: only", "mail: no rety", "mail: all retry", "mail: maybe x",
     "prod/: all", "/x: all", "mail: nothing now", "mail: no retry,"],
)  # fmt: skip
def test_a_rule_that_is_none_is_named(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"`.*`"):
        parse_policy(f"ok: all; {wrong}")
