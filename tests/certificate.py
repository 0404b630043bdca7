"""A certificate for localhost that only this test trusts."""

import subprocess
from pathlib import Path


def make_certificate(folder: Path) -> Path:
    """A self-signed certificate with its key, in one file as HAProxy wants it; the file also serves as CA."""
    key, certificate, both = (folder / name for name in ("key.pem", "certificate.pem", "both.pem"))
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files)
    both.write_text(certificate.read_text() + key.read_text())
    return both


def openssl(*arguments: str) -> str:
    """Run openssl and return what it prints."""
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout
