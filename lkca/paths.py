"""Where things are, and writing a file whole or not at all.

Every folder can be moved by an environment variable, so that a test, a cluster job or a read-only checkout
can keep its own: `LKCA_DATA` (scenes), `LKCA_RUNS` (trained runs), `LKCA_OUTPUT` (parent of results/ and figures/).
"""

import contextlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

Log = Callable[[str], None]  # takes a line of what goes on, as `print` does
STEPS: list[Callable[[str, Path], None]] = []
"""Told of every step of a writing and its file, for tests that stop a process there: "begun", "content" (written, but
perhaps not on the disk), "synced", "renamed"."""


def project_root() -> Path:
    """The checkout that this package is installed from, else the working folder."""
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def expanded(path: str | Path) -> Path:
    """The path with `~` and `~user` replaced by the home folder.

    Raises
    ------
    ValueError
        If there is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(
            f"{path}: there is no such user's folder ({error}); write ./{path} for a name that has ~"
        ) from error


def data_folder() -> Path:
    """Folder of the scene files: `LKCA_DATA`, else `data/` in the project."""
    return expanded(os.environ.get("LKCA_DATA") or project_root() / "data")


def runs_folder() -> Path:
    """Folder of the trained runs: `LKCA_RUNS`, else `runs/` in the project."""
    return expanded(os.environ.get("LKCA_RUNS") or project_root() / "runs")


def _output_folder(name: str) -> Path:
    folder = expanded(os.environ.get("LKCA_OUTPUT") or project_root()) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_apart() -> None:
    """For notebooks opened by hand: tables and figures go to `runs/own`, which git ignores; those of the study are
    written by its batch alone. Nothing is changed where that runs the notebook, or where `LKCA_OUTPUT` says where.

    The project's tables are put there first, but for those that are older than what is there, so that a notebook finds
    the study's.
    """
    if os.environ.get("LKCA_BATCH") or os.environ.get("LKCA_OUTPUT"):
        return
    study, own = results_folder(), runs_folder() / "own"
    for table in sorted(study.rglob("*.csv")):
        copy = own / "results" / table.relative_to(study)
        if not copy.is_file() or copy.stat().st_mtime < table.stat().st_mtime:
            with written_whole(copy) as temporary:
                shutil.copyfile(table, temporary)
    os.environ["LKCA_OUTPUT"] = str(own)
    print(f"tables and figures go to {own}; results/ and figures/ are written by the batch (python -m lkca study)")


def results_folder() -> Path:
    """Folder of tables (CSV, Markdown, LaTeX): `results/` under `LKCA_OUTPUT`, else in the project."""
    return _output_folder("results")


def figures_folder() -> Path:
    """Folder of figures (PNG, PDF): `figures/` under `LKCA_OUTPUT`, else in the project."""
    return _output_folder("figures")


def temporary_beside(path: Path) -> Path:
    """A new empty file in the folder of `path`, hidden, with its suffix, because writers choose their format by it.

    Its name says which process of which machine writes it. Those that dead processes of this machine left for the same
    `path` are removed.
    """
    remove_dead(path)
    prefix = f"{_prefix(path)}{_machine()}-{os.getpid()}-"
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    tell("begun", path)
    return Path(name)


def remove_dead(path: Path) -> list[Path]:
    """Remove the temporary files of `path` whose process, on this machine, is no more; which they were."""
    pattern = re.compile(
        re.escape(f"{_prefix(path)}{_machine()}-") + r"(\d+)-\w+" + re.escape(path.suffix) + r"(\.\w+)*"
    )
    dead = []
    if not path.parent.is_dir():
        return dead
    for entry in path.parent.iterdir():
        match = pattern.fullmatch(entry.name)
        if match and not _alive(int(match[1])):
            entry.unlink(missing_ok=True)
            dead.append(entry)
    return dead


def _prefix(path: Path) -> str:
    return f".{path.stem[:100]}-"


def _machine() -> str:
    return re.sub(r"\W", "_", socket.gethostname())[:60] or "unnamed"


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        pass
    return True


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a finished `temporary_beside(path)` its name, in place of what stood there."""
    tell("content", path)
    temporary.chmod(0o644)
    with temporary.open("rb") as written:  # on the disk before it gets its name: a power cut leaves no empty file
        os.fsync(written.fileno())
    tell("synced", path)
    temporary.replace(path)
    tell("renamed", path)


def tell(step: str, path: Path) -> None:
    """Tell the `STEPS`."""
    for told in STEPS:
        told(step, path)


@contextlib.contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` only if the block succeeds.

    The temporary name keeps the suffix of `path`, because writers choose their format by it. A crash, a full disk
    or an exception leaves whatever stood under `path` before.

    Raises
    ------
    OSError
        The block's own, with `path` and the cause in its message (a full disk, say).
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        yield temporary
        put_in_place(temporary, path)
    except OSError as error:
        raise OSError(
            f"could not write {path}: {error.strerror or error}; what stood under that name before is untouched"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what `written_whole` left in a folder when its process was killed. Only while no other writes there."""
    for path in folder.glob(".*-*"):
        path.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with written_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
