"""What a search over text looks at, and the index that makes it quick."""

from enum import StrEnum

from logsvc.schema.tables import on_cluster

SEARCHED_COLUMNS = ("job_id", "job_name", "message", "error_type", "error", "data")

SEARCHED = f"lowerUTF8(concatWithSeparator('\\n', {', '.join(SEARCHED_COLUMNS)}))"
"""The text of a row, in small letters. A condition uses the index only if it is about this very expression."""


class SearchIndex(StrEnum):
    """How the journal's text is indexed.

    text: ClickHouse's inverted index (26.2 and newer): words (`hasAllTokens`, `hasAnyTokens`) are found at once, parts
    of words (`LIKE '%…%'`) by its dictionary. tokenbf: a bloom filter of words, which skips blocks (`hasToken`). none:
    every row of the time asked for is read. What a query answers is the same with each; only what it costs is not.
    """

    TEXT = "text"
    TOKENBF = "tokenbf"
    NONE = "none"


INDEX_TYPES = {
    SearchIndex.TEXT: "text(tokenizer = splitByNonAlpha)",
    SearchIndex.TOKENBF: "tokenbf_v1(32768, 3, 0) GRANULARITY 1",
}


def index_name(kind: SearchIndex) -> str:
    return f"words_{kind}"


def add_index(kind: SearchIndex, cluster: str = "") -> str:
    """The statement that has rows indexed from now on; days stored before are searched row by row."""
    return (
        f"ALTER TABLE journal{on_cluster(cluster)} ADD INDEX IF NOT EXISTS {index_name(kind)} {SEARCHED}"
        f" TYPE {INDEX_TYPES[kind]}"
    )
