"""Refresh messages: the agreed words, at most one a second for each thing, and only what was asked for."""

import json
from itertools import product

import pytest

from logsvc.errors import BadRequest
from logsvc.live.refresh_socket import asked_terms
from logsvc.live.refreshes import MOST_OF_A_QUEUE, MOST_TERMS, OF_JOBS, Refreshes, Subscription, Term, parse_terms
from tocsin.refresh import OWN_TYPES, TYPES, Refresh, Touched, encode_refresh, path_of


def job(number: int, queue: str = "orders") -> Refresh:
    return Refresh("job-refresh", Touched(path_of("main", queue, str(number)), queue, str(number)))


def test_a_message_is_in_the_words_of_better_bull_board() -> None:
    assert json.loads(encode_refresh(job(7, "a/b"))) == {
        "type": "job-refresh",
        "data": {"id": "main/a%2Fb/7", "queueName": "a/b", "jobId": "7"},
    }
    assert json.loads(encode_refresh(Refresh("queue-refresh"))) == {"type": "queue-refresh", "data": {}}


def test_a_thing_is_told_at_once_and_then_once_a_second() -> None:
    now = 10.0
    refreshes = Refreshes(clock=lambda: now)
    refreshes.add(job(1))
    assert refreshes.due() == [job(1)]
    for now in (10.3, 10.6):
        refreshes.add(job(1))
        refreshes.add(job(2))
        assert refreshes.due() == ([job(2)] if now == 10.3 else [])
    now = 11.0
    assert refreshes.due() == [job(1)]
    now = 11.3
    assert refreshes.due() == [job(2)]
    now = 20.0
    assert refreshes.due() == []


def test_many_jobs_of_a_queue_are_told_as_one() -> None:
    now = 10.0
    refreshes = Refreshes(clock=lambda: now)
    told: list[Refresh] = []
    for number in range(10_000):
        refreshes.add(job(number))
        if number % 1_000 == 0:
            now += 0.05
            told += refreshes.due()
    now += 1
    told += refreshes.due()
    assert Refresh("job-refresh", Touched(queue_name="orders")) in told
    assert len(told) <= MOST_OF_A_QUEUE + 2


def test_a_subscription_narrows_what_is_heard() -> None:
    subscription = Subscription(parse_terms([{"type": "job-refresh", "queueName": "orders", "jobId": "7"}]))
    of_queue = Refresh("job-refresh", Touched(queue_name="orders"))
    said = [job(7), job(8), job(7, "mail"), Refresh("log-refresh", job(7).data), of_queue, Refresh("job-refresh")]
    assert subscription.offer(said)
    assert subscription.take() == [job(7), of_queue, Refresh("job-refresh")]
    assert not subscription.offer([job(8)])


def test_a_term_meets_what_agrees_with_all_that_both_say() -> None:
    def agrees(term: Term, refresh: Refresh) -> bool:
        said = refresh.data
        if refresh.type in OWN_TYPES:
            return term.type == refresh.type
        both = (term.queue_name, said.queue_name), (term.job_id, said.job_id), (term.scheduler_key, said.scheduler_key)
        elsewhere = term.scheduler_key if refresh.type in OF_JOBS else term.job_id
        return term.type in ("", refresh.type) and not elsewhere and all(not a or not b or a == b for a, b in both)

    names = list(product(("", "a", "b"), ("", "1"), ("", "x")))
    terms = [Term(kind, *of) for kind, of in product(("", *TYPES, *OWN_TYPES), names)]
    said = [Refresh(kind, Touched("", *of)) for kind, of in product((*TYPES, *OWN_TYPES), names)]
    said = [one for one in said if not (one.data.scheduler_key if one.type in OF_JOBS else one.data.job_id)]
    assert {one.type for one in said} == {*TYPES, *OWN_TYPES}
    for term in terms:
        subscription = Subscription([term])
        subscription.offer(said)
        assert subscription.take() == [one for one in said if agrees(term, one)], term


@pytest.mark.parametrize(
    "asked", ["null", "{}", '[{"type":"x"}]', '[{"queue":"orders"}]', '[{"jobId":7}]', f"[{','.join(['{}'] * 201)}]"]
)
def test_a_subscription_that_cannot_be_read_is_refused(asked: str) -> None:
    with pytest.raises(BadRequest):
        parse_terms(json.loads(asked))


def test_of_types_and_queues_in_an_address_no_more_are_joined_than_are_taken() -> None:
    many = {"type": ["job-refresh"] * 500, "queueName": [str(n) for n in range(500)]}
    terms = asked_terms(many)
    assert len(terms) == MOST_TERMS + 1
    with pytest.raises(BadRequest, match="at most"):
        parse_terms(terms)
    assert asked_terms({}) == [{"type": "", "queueName": ""}]
