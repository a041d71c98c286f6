"""The checksums of a run's files: what was written is what is read, or an error says which file is not.

A finished run's folder has `checksums.json`, with the SHA-256 of its other files and of the data; the state to resume
from carries its own in its first line, because it changes with every epoch.
"""

import hashlib
import json
from pathlib import Path

from lkca.paths import write_text, written_whole

CHECKSUMS = "checksums.json"
RECORDED = ("settings.json", "provenance.json", "history.csv", "weights.safetensors", "metrics.json")
STATE = b"lkca-state-1 "


def write_checksums(folder: Path, data: str, **content: str) -> None:
    """Write the checksums of a run's files; `content` has those that are not written yet, as metrics="…" for .json."""
    new = {f"{name}.json": text.encode() for name, text in content.items()}
    files = {name: _sha256(new[name] if name in new else (folder / name).read_bytes()) for name in RECORDED
             if name in new or (folder / name).is_file()}  # fmt: skip
    record = {"data": data, "files": files}
    write_text(folder / CHECKSUMS, json.dumps(record | {"sha256": _own(record)}, indent=2))


def recorded(folder: Path) -> dict | None:
    """What `checksums.json` says, `data` and `files`; None where there is none, as older runs have it.

    Raises
    ------
    ValueError
        If it is damaged.
    """
    path = folder / CHECKSUMS
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.pop("sha256") != _own(record):
            raise ValueError("it does not have its own checksum")
        return {"data": str(record["data"]), "files": dict(record["files"])}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error}): delete it, and `train` measures the run again") from error


def check(folder: Path, *names: str) -> bool:
    """Whether checksums are recorded for these files of a run; they are there and as they were written.

    Raises
    ------
    ValueError
        If one of them is missing or is no longer what was written.
    """
    record = recorded(folder)
    for name in names:
        path = folder / name
        wanted = record and record["files"].get(name)
        if not path.is_file():
            if wanted or (name in ("weights.safetensors", "metrics.json") and record is None):
                raise ValueError(f"{path} is missing, though the run was finished: put it back, or train the run again")
        elif wanted and _sha256(path.read_bytes()) != wanted:
            raise ValueError(
                f"{path} is damaged, or of another run: its SHA-256 is not the one recorded in {folder / CHECKSUMS}. "
                "Put it back, or train the run again: it makes anew what it can"
            )
    return record is not None


def as_written(folder: Path, *names: str) -> bool:
    """Whether checksums are recorded for all of these files, and hold."""
    try:
        record = recorded(folder)
        return record is not None and set(names) <= set(record["files"]) and check(folder, *names)
    except ValueError:
        return False


def write_state(path: Path, content: bytes | memoryview) -> None:
    """Write a state behind its own checksum."""
    with written_whole(path) as temporary:
        temporary.write_bytes(STATE + _sha256(content).encode() + b"\n" + content)


def read_state(path: Path) -> tuple[bytes, bool]:
    """A state as it was written, and whether a checksum said so; older files have none.

    Raises
    ------
    ValueError
        If it is not what was written.
    """
    content = path.read_bytes()
    if not content.startswith(STATE):
        return content, False
    checksum, _, state = content.removeprefix(STATE).partition(b"\n")
    if _sha256(state).encode() != checksum:
        raise ValueError("its checksum says that it is damaged")
    return state, True


def _own(record: dict) -> str:
    return _sha256(json.dumps(record, sort_keys=True).encode())


def _sha256(content: bytes | memoryview) -> str:
    return hashlib.sha256(content).hexdigest()
