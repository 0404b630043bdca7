"""What a process that still runs has written to a file."""

from pathlib import Path


def written(file: Path) -> str:
    """Its whole lines so far; empty where there is no file.

    One write reaches a file page by page: who reads meanwhile may see half of the last line.
    """
    text = file.read_bytes().decode(errors="replace") if file.exists() else ""
    return text[: text.rfind("\n") + 1]
