"""What is remembered is bounded, and what runs is forgotten last."""

from bridge.sources.bullmq.memory import MAX_FINISHED, PASSED_BY, QueueMemory


def test_job_untouched_for_longest_is_forgotten_first() -> None:
    memory = QueueMemory(max_jobs=3)
    for job_id in "abc":
        memory.job(job_id)
    memory.job("a")
    memory.job("d")

    assert [job_id in memory for job_id in "abcd"] == [True, False, True, True]


def test_job_that_runs_is_kept_while_any_other_can_go() -> None:
    memory = QueueMemory(max_jobs=3)
    memory.run("long", since=5)
    for number in range(1000):
        memory.job(str(number))

    assert "long" in memory
    assert len(memory) == 3
    assert [(job_id, job.active_since) for job_id, job in memory.active()] == [("long", 5)]


def test_even_jobs_that_run_are_bounded() -> None:
    memory = QueueMemory(max_jobs=3)
    for number in range(100):
        memory.run(str(number), since=1)

    assert len(memory) == 3
    assert [job_id for job_id, _ in memory.active()] == ["97", "98", "99"]


def test_finished_jobs_are_remembered_for_a_while() -> None:
    memory = QueueMemory()
    for number in range(MAX_FINISHED + 50):
        memory.run(str(number), since=1)
        memory.finish(str(number))

    assert len(memory) == MAX_FINISHED
    assert "49" not in memory
    assert memory.active() == []


def test_finished_job_that_comes_back_is_kept() -> None:
    memory = QueueMemory()
    memory.finish("back")
    memory.run("back", since=1)
    for number in range(MAX_FINISHED + 1):
        memory.finish(str(number))

    assert "back" in memory


def test_search_for_jobs_to_forget_is_bounded_and_goes_on() -> None:
    memory = QueueMemory()
    for number in range(PASSED_BY + 1):
        memory.run(str(number), since=1)
    memory.shrink(0)

    memory.job("rests")
    memory.shrink(0)
    assert "rests" in memory
    memory.shrink(0)
    assert ("rests" in memory, len(memory)) == (False, PASSED_BY + 1)


def test_job_forgotten_or_cleared_runs_no_more() -> None:
    memory = QueueMemory()
    memory.run("a", since=1)
    memory.run("b", since=1)
    memory.forget("a")
    assert [job_id for job_id, _ in memory.active()] == ["b"]
    memory.clear()
    assert (memory.active(), len(memory), memory.known("b")) == ([], 0, None)


def test_longest_waiting_is_who_became_ready_first_and_waits_still() -> None:
    memory = QueueMemory()
    for at, job_id in enumerate("abcde", 1):
        memory.wait(job_id, since=at)
    memory.job("a").name = "touched"
    assert memory.longest_waiting == "a"
    memory.run("a", since=9)
    memory.wait_no_more("b")
    memory.forget("c")
    memory.finish("d")
    assert memory.longest_waiting == "e"
    memory.wait("a", since=10)
    assert memory.waiting("a") is memory.known("a")
    assert memory.waiting("b") is None
    memory.doubt()
    assert memory.longest_waiting is None
