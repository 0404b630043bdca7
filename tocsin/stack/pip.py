"""Install pinned wheels into a folder of their own, beside the environment and never into it."""

import shutil
import subprocess
import sys
from pathlib import Path


def pip_install(folder: Path, lock: Path, *, raising: type[Exception]) -> None:
    """Install the requirements of lock (exact versions with hashes, complete) into folder, all or nothing. Blocks."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    arguments = ["install", "--quiet", "--no-deps", "--require-hashes", "--target", str(partial), "-r", str(lock)]
    for pip in ([sys.executable, "-m", "pip"], ["uv", "pip"], ["pip3"], ["pip"]):
        if pip[0] != sys.executable and not shutil.which(pip[0]):
            continue
        done = subprocess.run([*pip, *arguments], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            partial.replace(folder)
            return
        if "No module named pip" not in done.stderr:
            lines = done.stderr.strip().splitlines() or ["no output"]
            raise raising(f"{' '.join(pip)} could not install {lock.name}: {lines[-1]}")
    raise raising("no pip was found to install it with")
