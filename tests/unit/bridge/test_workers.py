"""Workers from the names of their connections."""

from types import SimpleNamespace

from bridge.sources.bullmq.snapshots.workers import RECONNECTING_SECONDS, Workers

LISTING = """\
id=1 addr=1.2.3.4:5 name=bull:bWFpbA== age=1 cmd=bzpopmin
id=2 addr=1.2.3.4:6 name=bull:bWFpbA==:w:worker:7 age=1 cmd=bzpopmin
id=3 addr=1.2.3.4:7 name=bull:bWFpbA==:qe age=1 cmd=xread
id=4 addr=1.2.3.4:8 name=other:bWFpbA== age=1 cmd=bzpopmin
id=5 addr=1.2.3.4:9 name= age=1 cmd=get
id=6 addr=1.2.3.4:9 name=bull:images age=1 cmd=bzpopmin
id=7 addr=1.2.3.4:9 name=bull:images age=1 cmd=evalsha
id=8 addr=1.2.3.4:9 name=bull:test age=1 cmd=bzpopmin
id=9 addr=1.2.3.4:9 name=bull:15PXldeQ16gg16DXm9eg16E= age=1 cmd=bzpopmin
"""


def workers(listing: str | None, prefix: str = "bull") -> Workers:
    made = Workers(prefix)
    made.learn(listing)
    return made


def test_workers_are_counted_by_both_forms_of_their_names() -> None:
    found = workers(LISTING)

    assert {queue: found.of(queue) for queue in ("mail", "images", "test", "דואר נכנס", "none")} == {
        "mail": 2,
        "images": 1,
        "test": 1,
        "דואר נכנס": 1,
        "none": 0,
    }


def test_queues_that_connections_are_named_after_may_be_new_ones() -> None:
    found = workers(LISTING + "id=10 name=bull:bmV3:qe cmd=xread\nid=11 name=bull:a:w:b cmd=get\n")
    assert {"mail", "images", "test", "דואר נכנס", "new", "a"} <= found.mentioned
    assert not any(":" in name or not name for name in found.mentioned)


def test_python_workers_count_while_they_are_busy_too() -> None:
    idle = "id=1 name=bull:images cmd=evalsha\nid=2 name=bull:images cmd=bzpopmin\n"
    found = workers(idle)
    assert found.of("images") == 1
    found.learn(idle.replace("bzpopmin", "evalsha"))
    assert found.of("images") == 1, "its connection is still there"
    found.learn("id=1 name=bull:images cmd=evalsha\n")
    assert found.of("images") == 1, "the blocking one is gone; the one for its commands is not"
    found.learn("")
    assert found.of("images") == 0


def test_python_workers_that_were_never_idle_count() -> None:
    """What is to block has only been given its name; in the first moment nobody knows which is which."""
    busy = "id=1 name=bull:images age=9 cmd=evalsha\nid=2 name=bull:images age=9 cmd=client|setname\n"
    assert workers(busy).of("images") == 1
    assert workers(busy + busy.replace("id=", "id=1")).of("images") == 2
    new = busy.replace("age=9", "age=0")
    assert workers(new.replace("evalsha", "client|setname")).of("images") is None


def test_more_connections_for_commands_are_no_more_workers() -> None:
    """bullmq 2.19 opens them as it needs them; none of its blocking ones goes while its worker is there."""
    pool = "".join(f"id={number} name=bull:images age=50 cmd=evalsha\n" for number in range(5))
    found = workers(f"{pool}id=8 name=bull:images age=50 cmd=bzpopmin\nid=9 name=bull:images age=50 cmd=bzpopmin\n")
    assert found.of("images") == 2
    found.learn(f"{pool.partition(chr(10))[2]}id=9 name=bull:images age=50 cmd=bzpopmin\n")
    assert found.of("images") == 1, "one closed, with both kinds"


def test_python_workers_that_reconnect_count_by_their_other_connections() -> None:
    clock = SimpleNamespace(now=0.0)
    found = Workers("bull", clock=lambda: clock.now)
    two = "id=1 name=bull:images age=50 cmd=evalsha\nid=2 name=bull:images age=50 cmd=evalsha\n"
    for number in range(3, 30):
        clock.now += RECONNECTING_SECONDS / 2
        found.learn(f"{two}id={number} name=bull:images age=1 cmd=bzpopmin\n")
        if number > 3:
            assert found.of("images") == 2, "one of the two blocks at a time, each time by another connection"
    clock.now += RECONNECTING_SECONDS + 1
    found.learn(f"{two}id=29 name=bull:images age=1 cmd=bzpopmin\n")
    assert found.of("images") == 1, "the one that goes no more is one that stays"
    found.learn("id=1 name=bull:images age=99 cmd=evalsha\n")
    assert found.of("images") == 1
    found.learn("")
    assert found.of("images") == 0


def test_workers_of_a_cluster_are_those_of_the_node_with_most() -> None:
    """A worker blocks at one node; its idle connections to others are named like it."""
    found = Workers("bull")
    found.learn(
        "id=1 name=bull:bWFpbA== cmd=bzpopmin\nid=2 name=bull:bWFpbA== cmd=bzpopmin\n",
        "id=1 name=bull:bWFpbA== cmd=ping\nid=5 name=bull:images cmd=bzpopmin\n",
    )
    assert (found.of("mail"), found.of("images"), found.of("none")) == (2, 1, 0)
    found.learn("id=1 name=bull:bWFpbA== cmd=bzpopmin\n", None)
    assert found.of("mail") is None, "one node that does not tell leaves all unknown"


def test_prefix_with_colons_is_told_apart() -> None:
    listing = "id=1 name=app:x:bWFpbA== cmd=bzpopmin\nid=2 name=app:bWFpbA== cmd=bzpopmin\n"

    assert workers(listing, "app:x").of("mail") == 1
    assert workers(listing, "app").of("mail") == 1


def test_workers_of_a_prefix_that_begins_like_ours_are_not_ours() -> None:
    found = workers("id=1 name=bull:eu:bWFpbA== cmd=bzpopmin\nid=2 name=bull:eu:bWFpbA==:w:one cmd=bzpopmin\n")
    assert (found.of("eu"), found.mentioned) == (0, set())
    assert workers("id=1 name=bull:bWFpbA==:w:a:qe cmd=bzpopmin\n").of("mail") == 1, "it may be named anything"


def test_workers_of_another_database_are_not_ours() -> None:
    """Two apps may share a Redis and a queue's name, a database each."""
    listing = "id=1 name=bull:bWFpbA== db=0 cmd=bzpopmin\nid=2 name=bull:bWFpbA== db=3 cmd=bzpopmin\n"
    listing += "id=3 name=bull:bWFpbA==:w:b db=3 cmd=bzpopmin\nid=4 name=bull:b25seQ== db=0 cmd=bzpopmin\n"
    found = Workers("bull", database=3)
    found.learn(listing)
    assert (found.of("mail"), found.of("only")) == (2, 0)
    assert "only" not in found.mentioned


def test_workers_are_unknown_when_refused_never_none() -> None:
    assert workers(None).of("mail") is None
    assert Workers("bull").of("mail") is None
    assert workers("").of("mail") == 0
