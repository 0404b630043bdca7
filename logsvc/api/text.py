"""Conditions in SQL for a search over text, in the words that the index of this ClickHouse answers."""

from collections.abc import Sequence

from logsvc.api.journal import Where
from logsvc.schema.words import SEARCHED, SearchIndex
from logsvc.search import Term

LEAST_PART = 4
"""Parts of words that are shorter are not looked up in the index's dictionary."""


def hits(where: Where, terms: Sequence[Term], index: SearchIndex | None, text: str = SEARCHED) -> list[str]:
    """For each term the condition that it occurs in the text, its values bound in where."""
    return [_hit(where, number, term, index, text) for number, term in enumerate(terms)]


def add_search(where: Where, terms: Sequence[Term], index: SearchIndex | None, text: str = SEARCHED) -> Where:
    """Demand of each row that its text is what the search asks for."""
    for term, hit in zip(terms, hits(where, terms, index, text), strict=True):
        where.add(hit if term.is_wanted else f"NOT {hit}")
    return where


def _hit(where: Where, number: int, term: Term, index: SearchIndex | None, text: str) -> str:
    name = f"q{number}"
    clauses = _by_words(where, name, term, index, text)
    if term.is_whole:
        if term.words != [term.text] or not clauses:
            clauses.append(f"match({text}, {{{name}:String}})")
            where.parameters[name] = term.pattern
    else:
        if index is SearchIndex.TEXT and term.parts != [term.text]:
            for at, part in enumerate(part for part in term.parts if len(part) >= LEAST_PART):
                clauses.append(f"{text} LIKE {{{name}_part{at}:String}}")
                where.parameters[f"{name}_part{at}"] = like(part)
        clauses.append(f"{text} LIKE {{{name}:String}}")
        where.parameters[name] = like(term.text)
    return f"({' AND '.join(clauses)})"


def _by_words(where: Where, name: str, term: Term, index: SearchIndex | None, text: str) -> list[str]:
    """What an index of words can tell; the text itself is looked at beside it where that is not enough."""
    words = list(dict.fromkeys(term.words))
    if not words:
        return []
    if index is SearchIndex.TEXT:
        where.parameters[f"{name}_words"] = words
        return [f"hasAllTokens({text}, {{{name}_words:Array(String)}})"]
    if index is SearchIndex.TOKENBF:
        where.parameters |= {f"{name}_word{at}": word for at, word in enumerate(words)}
        return [f"hasToken({text}, {{{name}_word{at}:String}})" for at in range(len(words))]
    return []


def like(text: str) -> str:
    """A LIKE pattern of a text wherever it stands."""
    for special in "\\%_":
        text = text.replace(special, f"\\{special}")
    return f"%{text}%"
