"""Which actions the operator allows on which queues: pure.

Rules, separated by `;`, each `GLOB: WORDS`. The glob is of a queue's name, or `ENV/GLOB`: what stands before the first
slash is of the environment. The words are `all`, `nothing`, `only retry, promote`, or `no retry, remove`. The first
rule whose glob fits decides; where none fits, all is allowed.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase

from tocsin import globs

ACTIONS = ("retry", "promote", "remove", "pause", "resume")


@dataclass(frozen=True, slots=True)
class Rule:
    """text: as the operator wrote it."""

    text: str
    env: str
    queue: str
    allowed: frozenset[str]

    def fits(self, env: str, queue: str) -> bool:
        """Whether this rule is about the queue."""
        return fnmatchcase(env, self.env) and globs.fits(queue, self.queue)


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules in the operator's order. None: everything is allowed."""

    rules: tuple[Rule, ...] = ()

    def refusal(self, action: str, env: str, queue: str) -> str | None:
        """The rule that forbids an action, as the operator wrote it; None if it is allowed."""
        rule = next((rule for rule in self.rules if rule.fits(env, queue)), None)
        return None if rule is None or action in rule.allowed else rule.text

    def __str__(self) -> str:
        return "; ".join(rule.text for rule in self.rules)


def parse_policy(text: str) -> Policy:
    """Read the operator's words. Raises ValueError that names the rule."""
    return Policy(tuple(_rule(" ".join(part.split())) for part in text.split(";") if part.strip()))


def _rule(text: str) -> Rule:
    glob, colon, words = (part.strip() for part in text.partition(":"))
    env, slash, queue = glob.partition("/")
    if not colon or not words or not glob or (slash and not (env and queue)):
        raise ValueError(f"`{text}`: expected `GLOB: all|nothing|only ACTION, …|no ACTION, …`")
    return Rule(text, env if slash else "*", queue if slash else glob, _allowed(text, words))


def _allowed(text: str, words: str) -> frozenset[str]:
    kind, _, listed = words.partition(" ")
    named = frozenset(word.strip() for word in listed.split(",")) if listed else frozenset[str]()
    if unknown := sorted(named - {*ACTIONS}):
        raise ValueError(f"`{text}`: no action `{unknown[0]}`; there are {', '.join(ACTIONS)}")
    match kind, bool(named):
        case "all", False:
            return frozenset(ACTIONS)
        case "nothing", False:
            return frozenset()
        case "only", True:
            return named
        case "no", True:
            return frozenset(ACTIONS) - named
        case _:
            raise ValueError(f"`{text}`: after the colon: all, nothing, only ACTION, … or no ACTION, …")
