"""The incident machine under failures, people, silences and time in any order."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.incidents.failures import Key, LastFailure, Tally
from bot.incidents.found import found
from bot.incidents.machine import (
    UNHEEDED,
    Call,
    Incident,
    Person,
    Phase,
    Step,
    ack,
    cover,
    end,
    note,
    resolve,
    step,
    unack,
    wait,
)
from bot.rules.board import Finding, Spot
from bot.rules.conditions import Verdict
from bot.rules.policy import Policy

SPOT = Spot("no-workers", "prod", "main", "orders")
KEY = Key("prod", "main", "orders", "f1")
POLICY = Policy(resolve_seconds=1800, remind_seconds=900, ack_seconds=3600, loud_counts=(10, 100))
ANN = Person(7, "Ann")
START_MS = 1_800_000_000_000


class Incidents(RuleBasedStateMachine):
    """What really happened is kept beside the machine, in the plainest form, and compared with what it says."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = START_MS
        self.incident: Incident | None = None
        self.silenced_until: int | None = None
        self.total = self.count = self.hidden = 0
        self.episode = self.notes = 0
        self.rang = self.was_told = False
        self.is_taken = self.was_taken = self.was_heard = False
        self.last_failure_ms = 0
        self.last_sound_ms = 0

    @initialize()
    def begin(self) -> None:
        self.now_ms = START_MS

    def take(self, done: Step | None) -> None:
        if done is None:
            return
        if done.call in (Call.RING, Call.NUDGE, Call.REMIND):
            assert self.silenced_until is None, "a sound under a silence"
            assert not self.is_taken or done.call is not Call.NUDGE, "a second sound about what somebody has"
            self.last_sound_ms = self.now_ms
        if done.call is Call.RING:
            assert not self.rang, "two first messages in one episode"
            self.rang = True
        if done.call in (Call.EDIT, Call.NUDGE):
            assert self.rang, "an edit of a message that is not there"
        if done.call is Call.REMIND:
            assert self.was_told, "a reminder of what nobody has heard of"
        self.was_told = self.was_told or done.call in (Call.RING, Call.SUMMARY)
        self.incident = done.incident

    @property
    def is_open(self) -> bool:
        return self.incident is not None and not self.incident.is_over

    @rule(failures=st.integers(1, 60), is_fresh=st.booleans())
    def fail(self, failures: int, is_fresh: bool) -> None:
        if not self.is_open:
            self.was_heard = self.was_heard or self.rang or self.was_taken
            self.episode += 1
            self.count = self.hidden = 0
            self.rang = self.was_told = self.is_taken = self.was_taken = False
        self.count += failures
        self.total += failures
        self.hidden += failures if self.silenced_until is not None else 0
        self.last_failure_ms = self.now_ms
        had_rung = self.rang
        told_ms, told_count = (self.incident.told_ms, self.incident.told_count) if self.incident else (0, 0)
        seen = Tally(failures, self.now_ms, self.now_ms, is_fresh, LastFailure("1"), {"w": failures})
        done = step(KEY, self.incident, seen, now_ms=self.now_ms, policy=POLICY, silenced_until_ms=self.silenced_until)
        assert done.added == failures
        if is_fresh and self.silenced_until is None and not had_rung:
            assert done.call is Call.RING, "a fresh failure nobody has heard of must ring"
        passed = not told_count or any(told_count < one <= self.count for one in POLICY.loud_counts)
        is_quiet = not told_count or self.now_ms - told_ms >= POLICY.between_sounds_seconds * 1000
        if is_fresh and had_rung and passed and self.silenced_until is None and not self.is_taken:
            assert (done.call is Call.NUDGE) == is_quiet, "ten times as many must be heard, but not in one burst"
        self.take(done)

    @precondition(lambda self: self.incident is not None)
    @rule()
    def somebody_acks(self) -> None:
        assert self.incident is not None
        taken = ack(self.incident, ANN, now_ms=self.now_ms)
        assert (taken is not None) == (self.is_open and not self.is_taken)
        if taken is not None:
            self.is_taken = self.was_taken = True
            self.incident = taken
            assert ack(taken, ANN, now_ms=self.now_ms) is None, "a second tap does nothing"

    @precondition(lambda self: self.incident is not None)
    @rule()
    def somebody_gives_it_back(self) -> None:
        assert self.incident is not None
        given = unack(self.incident, now_ms=self.now_ms)
        assert (given is not None) == (self.is_open and self.is_taken)
        if given is not None:
            self.is_taken = False
            self.take(given)

    @precondition(lambda self: self.is_open)
    @rule()
    def somebody_calls_it_over(self) -> None:
        assert self.incident is not None
        over = end(self.incident, now_ms=self.now_ms)
        self.take(Step(over, Call.EDIT if over.has_rung else Call.HUSH))

    @rule(minutes=st.integers(1, 240))
    def somebody_silences(self, minutes: int) -> None:
        self.silenced_until = self.now_ms + minutes * 60_000
        if self.incident is not None:
            self.take(cover(self.incident, self.silenced_until, now_ms=self.now_ms))

    @precondition(lambda self: self.silenced_until is not None)
    @rule()
    def the_silence_ends(self) -> None:
        self.silenced_until = None
        if self.incident is not None:
            self.take(cover(self.incident, None, now_ms=self.now_ms))

    @rule(minutes=st.integers(1, 90))
    def time_passes(self, minutes: int) -> None:
        self.now_ms += minutes * 60_000
        if self.silenced_until is not None and self.silenced_until <= self.now_ms:
            self.the_silence_ends()
        if self.incident is None:
            return
        over = resolve(self.incident, now_ms=self.now_ms, heard_ms=self.now_ms, policy=POLICY)
        quiet = self.now_ms - self.last_failure_ms
        assert (over is not None) == (self.is_open and quiet >= POLICY.resolve_seconds * 1000)
        if over is not None:
            self.take(Step(over, Call.EDIT if over.has_rung else Call.HUSH))
            return
        had_ack = self.incident.phase is Phase.ACKED
        done = wait(self.incident, now_ms=self.now_ms, policy=POLICY)
        if done is not None and had_ack:
            self.is_taken = False
            assert (done.call is Call.REMIND) == self.was_told, "people are reminded of what they have heard of"
        self.take(done)

    @precondition(lambda self: self.incident is not None)
    @rule(text=st.text(max_size=20))
    def somebody_writes(self, text: str) -> None:
        assert self.incident is not None
        self.incident = note(self.incident, ANN, text, now_ms=self.now_ms)
        self.notes = min(100, self.notes + 1)

    @invariant()
    def counts_are_exact(self) -> None:
        if self.incident is None:
            return
        one = self.incident
        assert (one.count, one.total, one.episode) == (self.count, self.total, self.episode)
        assert (one.hidden, len(one.notes), sum(one.workers.values())) == (self.hidden, self.notes, self.count)

    @invariant()
    def the_phase_follows_from_what_happened(self) -> None:
        one = self.incident
        if one is None or one.is_over:
            return
        if self.silenced_until is not None:
            assert (one.phase, one.silenced_until_ms) == (Phase.SILENCED, self.silenced_until)
        elif self.is_taken:
            assert one.phase is Phase.ACKED
        else:
            assert one.phase in UNHEEDED
        assert (one.ack is not None) == self.is_taken
        assert one.has_rung == self.rang
        assert (one.previous_ms is not None) == self.was_heard, "back is what somebody has heard of"
        if one.phase in (Phase.NEW, Phase.REGRESSED):
            assert (one.phase is Phase.REGRESSED) == self.was_heard

    @invariant()
    def what_nobody_has_is_heard_of_again_in_time(self) -> None:
        one = self.incident
        if one is None or one.phase not in UNHEEDED or not self.was_told:
            return
        due = wait(replace(one), now_ms=one.told_ms + int(POLICY.remind_seconds * 1000), policy=POLICY)
        assert due is not None
        assert due.call is Call.REMIND


class RuleIncidents(RuleBasedStateMachine):
    """What a rule found says nothing more while it lasts: it is heard as soon as nothing keeps it quiet."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ms = START_MS
        self.incident: Incident | None = None
        self.silenced_until: int | None = None
        self.is_off = self.is_taken = self.rang = False

    def take(self, done: Step | None) -> None:
        if done is None:
            return
        assert (done.call in (Call.RING, Call.HUSH)) == (not self.rang), "one message for each episode"
        if done.call in (Call.RING, Call.REMIND):
            assert self.silenced_until is None, "a sound under a silence"
            self.rang = True
        self.incident = done.incident

    def find(self, verdict: Verdict, text: str = "9 jobs are ready") -> None:
        finding = Finding(SPOT, verdict, "No workers", text, self.now_ms, self.now_ms)
        self.take(found(finding, self.incident, self.now_ms, POLICY, self.silenced_until))

    @precondition(lambda self: not self.is_off)
    @rule()
    def it_begins(self) -> None:
        self.is_off, self.rang, self.is_taken = True, False, False
        self.find(Verdict.FIRE)

    @precondition(lambda self: self.is_off)
    @rule(text=st.sampled_from(("9 jobs are ready", "10 jobs are ready")))
    def it_goes_on(self, text: str) -> None:
        self.find(Verdict.NOTHING, text)

    @precondition(lambda self: self.is_off)
    @rule()
    def it_ends(self) -> None:
        self.is_off = False
        self.find(Verdict.RESOLVE)

    @rule(minutes=st.integers(1, 240))
    def somebody_silences(self, minutes: int) -> None:
        self.silenced_until = self.now_ms + minutes * 60_000
        if self.incident is not None:
            self.take(cover(self.incident, self.silenced_until, now_ms=self.now_ms))

    @precondition(lambda self: self.silenced_until is not None)
    @rule(is_covered_again=st.booleans())
    def the_silence_ends(self, is_covered_again: bool) -> None:
        self.silenced_until = self.now_ms + 60_000 if is_covered_again else None
        if self.incident is not None:
            self.take(cover(self.incident, self.silenced_until, now_ms=self.now_ms))

    @precondition(lambda self: self.is_off)
    @rule(gives_back=st.booleans())
    def somebody_acks(self, gives_back: bool) -> None:
        assert self.incident is not None
        if not gives_back:
            self.incident, self.is_taken = ack(self.incident, ANN, now_ms=self.now_ms) or self.incident, True
            return
        given, self.is_taken = unack(self.incident, now_ms=self.now_ms), False
        self.take(given)

    @rule(minutes=st.integers(1, 90))
    def time_passes(self, minutes: int) -> None:
        self.now_ms += minutes * 60_000
        if self.incident is None:
            return
        done = wait(self.incident, now_ms=self.now_ms, policy=POLICY)
        self.is_taken = self.is_taken and (done is None or done.incident.ack is not None)
        self.take(done)

    @invariant()
    def it_is_heard_unless_something_keeps_it_quiet(self) -> None:
        if self.is_off and self.silenced_until is None and not self.is_taken:
            assert self.rang, "what a rule found under a silence must ring after it"
            assert self.incident is not None
            assert self.incident.has_rung
            assert self.incident.phase in UNHEEDED


TestIncidents = Incidents.TestCase
TestRuleIncidents = RuleIncidents.TestCase
TestRuleIncidents.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestIncidents.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
