"""The same failure has one name, another failure another."""

import pytest

from bridge.fingerprint import fingerprint, normalise

JS = [
    "at charge (/app/src/pay.js:10:5)",
    "at process (/app/src/run.js:7:1)",
    "at run (/app/node_modules/b/x.js:1:1)",
]
PYTHON = ['File "/srv/app/pay.py", line 10, in charge', 'File "/usr/lib/python3.11/asyncio/base.py", line 1, in run']


def test_fingerprint_is_stable_over_releases() -> None:
    assert fingerprint("mail", "send", "Error", "no", JS) == fingerprint("mail", "send", "Error", "no", list(JS))
    assert len(fingerprint("", "", "", "", [])) == 16
    assert fingerprint("mail", "send", "Error", "refused 7", []) == "cda9e1157c6af44b"


@pytest.mark.parametrize("frames", [JS, PYTHON])
def test_other_lines_folders_and_ids_are_the_same_failure(frames: list[str]) -> None:
    moved = [
        frame.replace(":10:5", ":99:1").replace("line 10", "line 99").replace("/app/", "/other/") for frame in frames
    ]

    assert fingerprint("q", "n", "E", "order 7", frames) == fingerprint("q", "n", "E", "order 8", moved)


def test_other_build_hashes_are_the_same_failure() -> None:
    one = ["at charge (/app/dist/pay.3f2a9c1b.js:1:9)"]
    two = ["at charge (/app/dist/pay.99ab12cd.js:1:9)"]

    assert fingerprint("q", "n", "E", "m", one) == fingerprint("q", "n", "E", "m", two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Timeout after 3001 ms", "Timeout after 12 ms"),
        ("no user 3f2504e0-4f89-41d3-9a0c-0305e82c3301", "no user 6fa459ea-ee8a-3ca4-894e-db77e160355e"),
        ("connect ECONNREFUSED 127.0.0.1:2001", "connect ECONNREFUSED 10.0.0.7:80"),
        ("bad mail a@b.example", "bad mail someone.else@c.example"),
        ('no field "name"', 'no field "other"'),
        ("at 2026-01-02T03:04:05Z", "at 2027-11-12T13:14:15.123Z"),
        ("hash 0badc0ffee", "hash 123456789a"),
        ("ההזמנה 7 לא נמצאה", "ההזמנה 912 לא נמצאה"),
    ],
)
def test_without_frames_the_message_counts_but_not_what_varies(one: str, two: str) -> None:
    assert fingerprint("q", "n", "E", one, []) == fingerprint("q", "n", "E", two, [])


def test_what_makes_another_failure() -> None:
    names = {
        fingerprint("q", "n", "E", "m", JS),
        fingerprint("q2", "n", "E", "m", JS),
        fingerprint("q", "n2", "E", "m", JS),
        fingerprint("q", "n", "E2", "m", JS),
        fingerprint("q", "n", "E", "m", [JS[1]]),
        fingerprint("q", "n", "E", "m", PYTHON),
        fingerprint("q", "n", "E", "m", []),
        fingerprint("q", "n", "E", "other words", []),
    }

    assert len(names) == 8


def test_frames_of_libraries_alone_leave_it_to_the_message() -> None:
    foreign = ["at JSON.parse (<anonymous>)", "at node:internal/process:1:2", JS[2]]

    assert fingerprint("q", "n", "E", "m", foreign) == fingerprint("q", "n", "E", "m", [])


def test_hostile_messages_take_no_time() -> None:
    for text in ("a" * 10**6, "1." * 10**6, "@" * 10**6, "'" * 10**6, "\ud800"):
        assert len(normalise(text)) <= 200
        fingerprint("q", "n", "E", text, ["at " + "(" * 1000, "at a (" + ":1" * 500, 'File "' + "x" * 1000])
