"""Secrets that are made once and kept in a file only its owner can read."""

import os
from collections.abc import Callable
from pathlib import Path


def secret_in(file: Path, make: Callable[[], str]) -> str:
    """The secret kept in file; the first call makes it. The file is mode 600 before anything is in it."""
    if not file.exists():
        write_secret(file, make())
    return file.read_text().strip()


def write_secret(file: Path, secret: str) -> None:
    """Put a secret in place of what the file held, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(secret + "\n")
    partial.replace(file)
