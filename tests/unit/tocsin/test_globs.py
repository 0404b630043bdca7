"""Which queues a glob is of."""

import pytest

from tocsin import globs


@pytest.mark.parametrize(
    ("queue", "glob", "expected"),
    [
        ("mail", "mail", True),
        ("mail", "ma*", True),
        ("mail", "Mail", False),
        ("{payments-eu}", "payments-*", True),
        ("{payments}-eu", "payments-eu", True),
        ("{payments-eu}", "{payments-*", True),
        ("{payments-eu}", "*-eu", True),
        ("{payments-eu}", "mail*", False),
        ("{}payments", "payments", False),
        ("{a}{b}", "a{b}", True),
        ("{a}{b}", "ab", False),
    ],
)
def test_braces_that_give_a_queue_its_slot_may_be_left_out(queue: str, glob: str, expected: bool) -> None:
    assert globs.fits(queue, glob) is expected
