"""Put the files of a dataset in place: download those with a public address, and say how to get the others.

The SHA-256 of a file is recorded in `checksums.json` beside it when it is first verified, and checked from then on.
"""

import json
from pathlib import Path

import requests
from pooch import HTTPDownloader

from lkca.data.dataset import Dataset
from lkca.data.datasets import DATASETS
from lkca.data.loaders import missing_files, open_checked
from lkca.data.reading.scene_file import files_checksum
from lkca.files import Log, atomic_write, data_folder, write_text

CHECKSUMS = "checksums.json"
TRIES = 3
TIMEOUT = (15, 60)  # seconds to connect, and to wait for the next bytes
SCENE_SUFFIXES = (".mat", ".hdr", ".npy")  # of files that can be opened as a scene


def fetch(name: str, log: Log = print, progress: bool = True) -> bool:
    """Download a dataset's files where that is possible, and verify the files in place.

    Returns
    -------
    bool
        Whether all files are there and verified; if not, `log` received the steps to take.

    Raises
    ------
    ValueError
        For an unknown dataset, a file that does not fit the declaration, or a checksum that has changed.
    OSError
        If a download fails.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown dataset {name!r}: choose one of {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    if not dataset.files:
        log(f"{name} is drawn from a seed: there is nothing to fetch")
        return True
    if dataset.package:
        missing = missing_files(dataset)
        log(missing or f"{name} is in the Python package {dataset.package}: there is nothing to fetch")
        return not missing
    folder = data_folder()
    new = [file for file in dataset.files if file in dataset.urls and not (folder / file).is_file()]
    for file in new:
        log(f"{file}: from {dataset.urls[file]}")
        _download(dataset.urls[file], folder / file, progress)
    missing = [file for file in dataset.files if not (folder / file).is_file()]
    if missing:
        log(f"{dataset.title}: these files cannot be downloaded directly. By hand:")
        steps = (*(dataset.steps or (f"Get it: {dataset.source}",)), f"Put {', '.join(missing)} into {folder}.")
        for number, step in enumerate((*steps, f"Run `lkca fetch {name}` again: it verifies them."), 1):
            log(f"  {number}. {step}")
    for file in dataset.files:
        path = folder / file
        if not path.is_file():
            continue
        try:
            _verify(dataset, path, log)
        except ValueError as error:
            if file not in new:
                raise
            rejected = path.replace(path.with_name(f"{file}.rejected"))
            raise ValueError(f"{error} What was downloaded is kept as {rejected}.") from error
    return not missing


def recorded_checksums() -> dict[str, str]:
    """Return the SHA-256 by file name that `checksums.json` in `LKCA_DATA` holds.

    Raises
    ------
    ValueError
        If it holds anything else.
    """
    path = data_folder() / CHECKSUMS
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error}). Repair or remove it.") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError(f"{path}: expected file names and their SHA-256. Repair or remove it.")
    return found


def _download(url: str, target: Path, progress: bool) -> None:
    """Download a file; try again if the server is busy or the connection is cut."""
    downloader = HTTPDownloader(progressbar=progress, timeout=TIMEOUT)
    for _ in range(TRIES):
        try:
            with atomic_write(target) as temporary:
                downloader(url, str(temporary), None)
            return
        except OSError as error:
            failure = error.__cause__  # errors of requests are OSErrors, and `atomic_write` wraps those
            if not isinstance(failure, requests.RequestException):
                raise
            reason = f"no answer, or the connection was cut ({type(failure).__name__})"
            if isinstance(failure, requests.HTTPError):
                status = failure.response.status_code
                reason = f"the server answered {status}"
                if status < 500 and status != 429:
                    raise OSError(
                        f"{url}: {reason} {failure.response.reason}. The address may have changed: get the file by "
                        "hand (lkca datasets says from where)."
                    ) from failure
    raise OSError(f"{url}: {reason} ({TRIES} tries). Is there a network?")


def _verify(dataset: Dataset, path: Path, log: Log) -> None:
    """Check key, shape and type, then the checksum; the checksum is recorded only if the file passes."""
    if path.suffix.lower() in SCENE_SUFFIXES:
        scene = open_checked(dataset, path)
        bands = sorted({0, scene.shape[0] // 2, scene.shape[0] - 1})
        values = scene.read(bands=bands)
        log(
            f"{path.name}: {scene.shape[1]} x {scene.shape[2]} pixels, {scene.shape[0]} bands, {scene.dtype}, "
            f"values {values.min():g} to {values.max():g} (in bands {', '.join(str(b + 1) for b in bands)})"
        )
        if dataset.kind == "big_scene" and not values.max() > 2:
            log(f"warning: {path.name}: the original holds larger numbers; is it normalised already?")
    new, checksums = files_checksum([path]), recorded_checksums()
    old = checksums.get(path.name)
    if old and old != new:
        raise ValueError(
            f"{path}: its checksum is {new}, but {path.parent / CHECKSUMS} recorded {old}: it is another file than "
            "before. Get it again, or remove its line there if the change is meant."
        )
    if not old:
        content = json.dumps(checksums | {path.name: new}, indent=2, sort_keys=True)
        write_text(data_folder() / CHECKSUMS, content + "\n")
    log(f"{path.name}: SHA-256 {new}, {'as recorded' if old else f'now recorded in {path.parent / CHECKSUMS}'}")
