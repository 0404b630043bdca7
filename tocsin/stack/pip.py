"""Install pinned wheels into a folder of their own, beside the environment and never into it."""

import shutil
import sys
from pathlib import Path

from tocsin.stack.tool import ToolFailed, run_tool

_SECONDS = 600.0


async def pip_install(folder: Path, lock: Path, *, raising: type[Exception]) -> None:
    """Install the requirements of lock (exact versions with hashes, complete) into folder, all or nothing.

    Call it in the main thread, and alone for one folder. Raises `raising`.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    arguments = ["install", "--quiet", "--no-deps", "--require-hashes", "--target", str(partial), "-r", str(lock)]
    for pip in ([sys.executable, "-m", "pip"], ["uv", "pip"], ["pip3"], ["pip"]):
        if pip[0] != sys.executable and not shutil.which(pip[0]):
            continue
        try:
            await run_tool([*pip, *arguments], seconds=_SECONDS)
        except ToolFailed as error:
            if "No module named pip" in error.output:
                continue
            raise raising(f"{' '.join(pip)} could not install {lock.name}: {error}") from None
        shutil.rmtree(folder, ignore_errors=True)  # what an interrupted removal left of it
        partial.replace(folder)
        return
    raise raising("no pip was found to install it with")
