"""Locate the project's folders, and write files atomically.

Environment variables move the folders, so that a test, a cluster job or a read-only checkout can keep its own:
`LKCA_DATA` (scenes), `LKCA_RUNS` (trained runs), `LKCA_OUTPUT` (parent of results/ and figures/).
"""

import contextlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

Log = Callable[[str], None]  # takes one line of progress, as `print` does


def project_root() -> Path:
    """Return the checkout that this package is installed from, else the working folder."""
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def expand(path: str | Path) -> Path:
    """Replace a leading `~` or `~user` by the home folder.

    Raises
    ------
    ValueError
        If there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{path}: no such user ({error}); write ./{path} for a name that begins with ~") from error


def data_folder() -> Path:
    """Return the folder of the scene files: `LKCA_DATA`, else `data/` in the project."""
    return expand(os.environ.get("LKCA_DATA") or project_root() / "data")


def runs_folder() -> Path:
    """Return the folder of the trained runs: `LKCA_RUNS`, else `runs/` in the project."""
    return expand(os.environ.get("LKCA_RUNS") or project_root() / "runs")


def results_folder() -> Path:
    """Return the folder of tables, `results/` under `LKCA_OUTPUT`, else in the project; create it if missing."""
    return _output_folder("results")


def figures_folder() -> Path:
    """Return the folder of figures, `figures/` under `LKCA_OUTPUT`, else in the project; create it if missing."""
    return _output_folder("figures")


def _output_folder(name: str) -> Path:
    folder = expand(os.environ.get("LKCA_OUTPUT") or project_root()) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def use_own_output() -> None:
    """Send the tables and figures of a notebook opened by hand to `runs/own`, which git ignores.

    The study's tables are copied there first, unless a newer copy exists, so that the notebook finds them. If the batch
    runs the notebook (`LKCA_BATCH` is set), or `LKCA_OUTPUT` is set, nothing is changed.
    """
    if os.environ.get("LKCA_BATCH") or os.environ.get("LKCA_OUTPUT"):
        return
    study, own = results_folder(), runs_folder() / "own"
    for table in sorted(study.rglob("*.csv")):
        copy = own / "results" / table.relative_to(study)
        if not copy.is_file() or copy.stat().st_mtime < table.stat().st_mtime:
            with atomic_write(copy) as temporary:
                shutil.copyfile(table, temporary)
    os.environ["LKCA_OUTPUT"] = str(own)
    print(f"tables and figures go to {own}; only the batch writes results/ and figures/")


@contextlib.contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` only if the block succeeds.

    The temporary name keeps the suffix of `path`, because writers choose their format by it. After a crash, a full
    disk or an exception, the previous content of `path` is unchanged. Temporary files of `path` from processes that
    died on this machine are removed.

    Raises
    ------
    OSError
        If the block raises one (the disk is full, say); the message names `path` and the cause.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(path)
    handle, name = tempfile.mkstemp(prefix=f"{_prefix(path)}{os.getpid()}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        with temporary.open("rb") as written:  # on the disk before the rename: a power cut leaves no empty file
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(
            f"could not write {path}: {error.strerror or error}; the previous content is untouched"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def remove_unfinished(folder: Path) -> None:
    """Remove every temporary file that `atomic_write` left in a folder. Call it only while nothing writes there."""
    for path in folder.glob(".*-*"):
        path.unlink()


def _remove_leftovers(path: Path) -> None:
    """Remove the temporary files of `path` whose process, on this machine, no longer exists."""
    pattern = re.compile(re.escape(_prefix(path)) + r"(\d+)-\w+" + re.escape(path.suffix) + r"(\.\w+)*")
    for entry in path.parent.iterdir():
        match = pattern.fullmatch(entry.name)
        if match and not _is_running(int(match[1])):
            entry.unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    """Return the prefix of temporary names of `path` on this machine; the process id follows it."""
    machine = re.sub(r"\W", "_", socket.gethostname())[:60] or "unnamed"
    return f".{path.stem[:100]}-{machine}-"


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's process
        pass
    return True
