"""Wheels are installed beside the environment, all or nothing."""

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from tocsin.stack.pip import pip_install


class Refused(Exception):
    pass


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock file of one wheel, which pip finds in a folder and nowhere else."""
    wheel = tmp_path / "thing-1.0-py3-none-any.whl"
    files = {
        "thing.py": "value = 1\n",
        "thing-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n",
        "thing-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{name},sha256={_digest(text)},{len(text)}" for name, text in files.items()]
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, "thing-1.0.dist-info/RECORD": "\n".join(rows)}.items():
            archive.writestr(name, text)
    file = tmp_path / "thing.lock"
    _pin(file, hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    return file


async def test_what_an_interrupted_install_left_is_no_obstacle(lock: Path, tmp_path: Path) -> None:
    for left in ("client", "client.partial"):
        (tmp_path / left).mkdir()
        (tmp_path / left / "half").touch()
    await pip_install(tmp_path / "client", lock, raising=Refused)
    assert {file.name for file in _files(tmp_path / "client")} >= {"thing.py"}
    assert not (tmp_path / "client" / "half").exists()


async def test_another_file_than_the_pinned_one_is_refused(lock: Path, tmp_path: Path) -> None:
    _pin(lock, "0" * 64)
    with pytest.raises(Refused, match=r"could not install thing\.lock"):
        await pip_install(tmp_path / "client", lock, raising=Refused)
    assert not (tmp_path / "client").exists()


def _pin(lock: Path, digest: str) -> None:
    lock.write_text(f"thing==1.0 --hash=sha256:{digest}\n")


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
