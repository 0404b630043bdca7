"""A request is read strictly: what is wrong is named by its field, and what is the same has the same digest."""

import json
from typing import Any

import pytest

from bridge.actions.request import MOST_JOBS, ActionRefused, answer, parse
from tocsin.events import JobOutcome, Outcome

PLAIN: dict[str, Any] = {
    "request_id": "r-1", "user_id": 1001, "action": "retry", "source": "main", "queue": "mail", "job_ids": ["1"]
}  # fmt: skip


def read(**change: Any) -> Any:
    body = {**PLAIN, **change}
    return parse(json.dumps({name: value for name, value in body.items() if value is not ...}).encode())


def filtered(**wanted: Any) -> Any:
    return read(job_ids=..., filter=wanted)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"request_id": ...}, "request_id"),
        ({"request_id": ""}, "request_id"),
        ({"request_id": "a b"}, "request_id"),
        ({"user_id": ""}, "user_id"),
        ({"action": "obliterate"}, "action"),
        ({"queue": ""}, "queue"),
        ({"queue": "a:b"}, "queue"),
        ({"job_ids": []}, "job_ids"),
        ({"job_ids": [7]}, "job_ids"),
        ({"job_ids": [""]}, "job_ids"),
        ({"job_ids": ["x" * 1025]}, "job_ids"),
        ({"job_ids": ["x"] * (MOST_JOBS + 1)}, "job_ids"),
        ({"job_ids": ...}, "job_ids, filter"),
        ({"filter": {"name": "x"}}, "job_ids, filter"),
        ({"action": "pause"}, "job_ids"),
        ({"action": "promote", "job_ids": ..., "filter": {"name": "x"}}, "filter"),
        ({"job_ids": ..., "filter": {}}, "filter"),
        ({"job_ids": ..., "filter": {"state": "completed"}}, "filter.state"),
        ({"job_ids": ..., "filter": {"fingerprint": "xyz"}}, "filter.fingerprint"),
        ({"job_ids": ..., "filter": {"from": "yesterday"}}, "filter.from"),
        ({"job_ids": ..., "filter": {"from": "2026-01-01T00:00:00"}}, "filter.from"),
        ({"job_ids": ..., "filter": {"to": -1}}, "filter.to"),
        ({"job_ids": ..., "filter": {"from": 10, "to": 10}}, "filter.to"),
        ({"job_ids": ..., "filter": {"finger": "x"}}, "finger"),
        ({"dryrun": True}, "dryrun"),
        ({"dry_run": "yes"}, "dry_run"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ActionRefused) as refused:
        read(**change)
    assert (refused.value.status, refused.value.error) == (400, "invalid")
    assert named in refused.value.message


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"a":' * 20_000])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(ActionRefused):
        parse(body)


def test_times_are_milliseconds_or_rfc_3339_and_the_end_is_exclusive() -> None:
    wanted = filtered(**{"from": "2026-05-01T03:00:00+02:00", "to": 1_777_600_000_000}).filter
    assert (wanted.first_ms, wanted.last_ms) == (1_777_597_200_000, 1_777_599_999_999)


def test_the_digest_tells_requests_apart_and_a_dry_run_is_the_same() -> None:
    assert read().digest == read(dry_run=True).digest == read(user_id="1001").digest
    others = [read(queue="x"), read(job_ids=["2"]), read(action="remove"), read(user_id=7), filtered(name="1")]
    assert len({read().digest, *(other.digest for other in others)}) == 6


def test_an_answer_counts_what_was_done_and_a_dry_run_lists_only_what_would_not() -> None:
    fared = [JobOutcome(job_id="1", outcome=Outcome.DONE), JobOutcome(job_id="2", outcome=Outcome.GONE)]
    wet, dry = answer(read(), fared), answer(read(dry_run=True), fared)
    assert (wet.count, wet.outcomes, wet.results) == (1, {"done": 1, "gone": 1}, fared)
    assert (dry.count, dry.outcomes, dry.results) == (1, {"done": 1, "gone": 1}, fared[1:])
