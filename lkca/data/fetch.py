"""Put the files of a dataset in place: download them where a public address leads to them, else say how to get them.

The checksum that a file had when it was first seen is kept in `checksums.json` beside it and checked from then on.
"""

import json
from pathlib import Path

import requests
from pooch import HTTPDownloader

from lkca.data.dataset import Dataset
from lkca.data.datasets import DATASETS
from lkca.data.loaders import missing_files, open_checked
from lkca.data.scene_file import files_checksum
from lkca.files import Log, atomic_write, data_folder, write_text

CHECKSUMS = "checksums.json"
TRIES = 3
TIMEOUT = (15, 60)  # seconds to connect, and without a byte
SCENE_SUFFIXES = (".mat", ".hdr", ".npy")  # of files that say by themselves what they hold


class _NoDownload(Exception):
    """The server did not send the file; no OSError, which would be taken for one of the disk."""


def fetch(name: str, log: Log = print, progress: bool = True) -> bool:
    """Put a dataset's files in place where that is possible, and verify those in place.

    Returns
    -------
    bool
        Whether all files are there and right; if not, `log` got the steps to take.

    Raises
    ------
    ValueError
        For an unknown dataset, a file that is not what the dataset declares, or a checksum that changed.
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
        _download(file, dataset.urls[file], folder / file, log, progress)
    missing = [file for file in dataset.files if not (folder / file).is_file()]
    if missing:
        log(f"{dataset.title} has no address that leads straight to its files. By hand:")
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


def _download(file: str, url: str, target: Path, log: Log, progress: bool) -> None:
    """Download `url` as `target`, if its checksum is the recorded one."""
    log(f"{file}: from {url}")
    recorded = recorded_checksums().get(file)
    downloader = HTTPDownloader(progressbar=progress, timeout=TIMEOUT)
    try:
        with atomic_write(target) as temporary:
            _request(downloader, url, temporary)
            found = files_checksum([temporary])
            if recorded and found != recorded:
                raise ValueError(
                    f"{file}: what came from {url} has the SHA-256 {found}, but {target.parent / CHECKSUMS} recorded "
                    f"{recorded}. Nothing was put in place. If the publisher changed the file, remove its line there."
                )
    except _NoDownload as error:
        raise OSError(str(error)) from error


def _request(downloader: HTTPDownloader, url: str, path: Path) -> None:
    for _ in range(TRIES):
        try:
            downloader(url, str(path), None)
            return
        except requests.HTTPError as error:
            status = error.response.status_code
            if status < 500 and status != 429:
                raise _NoDownload(
                    f"{url}: the server answered {status} {error.response.reason}. The address may have changed: get the "
                    "file by hand (lkca datasets says from where)."
                ) from error
            reason = f"the server answered {status}"
        except requests.RequestException as error:
            reason = f"no answer, or the connection was cut ({type(error).__name__})"
    raise _NoDownload(f"{url}: {reason} ({TRIES} tries). Is there a network?")


def _verify(dataset: Dataset, path: Path, log: Log) -> None:
    """Check key, shape and type, then the checksum; a checksum is recorded only of a file that is right."""
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
            f"{path}: its checksum is {new}, but {path.parent / CHECKSUMS} recorded {old}: the file changed since. "
            "It was left as it is. Get it again, or remove its line there if the change is meant."
        )
    if not old:
        content = json.dumps(checksums | {path.name: new}, indent=2, sort_keys=True)
        write_text(data_folder() / CHECKSUMS, content + "\n")
    log(f"{path.name}: SHA-256 {new}, {'as recorded' if old else f'now recorded in {path.parent / CHECKSUMS}'}")
