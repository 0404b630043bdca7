"""Findings as text: one line each, the mend below it; in colour on a terminal."""

from collections.abc import Sequence

from tocsin.doctor.finding import Finding, Verdict

_COLOURS = {Verdict.OK: "32", Verdict.NOTE: "36", Verdict.WARN: "33", Verdict.BAD: "31;1"}


def render(findings: Sequence[Finding], *, colour: bool) -> str:
    """The table, worst last so that it stands where the eye ends, and one line that sums up."""
    order = list(Verdict)
    rows = sorted(findings, key=lambda finding: order.index(finding.verdict))
    width = max((len(finding.check) for finding in rows), default=0)
    lines: list[str] = []
    for finding in rows:
        word = f"{finding.verdict.value.upper() if finding.verdict is Verdict.BAD else finding.verdict.value:<5}"
        lines.append(f"{_painted(word, finding.verdict, colour)} {finding.check:<{width}}  {_plain(finding.found)}")
        if finding.mend:
            lines.append(f"{'':<5} {'':<{width}}  -> {_plain(finding.mend)}")
    problems = sum(finding.verdict is Verdict.BAD for finding in rows)
    warnings = sum(finding.verdict is Verdict.WARN for finding in rows)
    lines.append("")
    lines.append(f"{_count(problems, 'problem')}, {_count(warnings, 'warning')} in {len(rows)} checks")
    return "\n".join(lines)


def _painted(word: str, verdict: Verdict, colour: bool) -> str:
    return f"\x1b[{_COLOURS[verdict]}m{word}\x1b[0m" if colour else word


def _plain(text: str) -> str:
    """Without control characters: names come from servers, and the text goes to a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
