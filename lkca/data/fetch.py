"""Getting the paper's scenes: downloaded where a public address leads to the file, else in steps for the person.

A download goes on where it was cut. The checksum that a file had when it was first seen is kept in `checksums.json`
beside it and checked from then on.
"""

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests
from filelock import FileLock
from filelock import Timeout as LockTimeout
from tqdm import tqdm

from lkca.data.datasets import DATASETS
from lkca.data.files import check_shape, missing_files
from lkca.data.split import Dataset
from lkca.paths import Log, data_folder, put_in_place, written_whole
from lkca.scenes import open_scene

CHECKSUMS = "checksums.json"
TRIES, PAUSE = 5, 2.0  # attempts without a new byte, and seconds before the second, doubled each time
BLOCK, TIMEOUT = 1 << 16, (15, 60)  # bytes, lost at most by a cut; seconds to connect, and without a byte

URLS = {  # file -> address; only those that lead to the file itself
    "Pavia.mat": "https://www.ehu.eus/ccwintco/uploads/e/e3/Pavia.mat",
}
STEPS = {
    "chikusei": (
        "Open https://naotoyokoya.com/Download.html and find 'Airborne hyperspectral data over Chikusei'.",
        "Download the MATLAB version (not ENVI) and unpack it if it comes as an archive.",
        "Cite Yokoya and Iwasaki 2016, as the page asks; its licence is CC BY 3.0.",
    ),
    "houston2018": (
        "Open https://machinelearning.ee.uh.edu (2018 IEEE GRSS Data Fusion Challenge) and fill in the data's form.",
        "Download the hyperspectral images and unpack the folder FullHSIDataset: the full scene, no training tiles.",
        "Take both files of the pair, the header (.hdr) and the data (.pix).",
    ),
    "la_aviris": (
        "Open http://xudongkang.weebly.com, data sets, and download the Airport-Beach-Urban (ABU) set.",
        "Take the five files named below; they are MATLAB files with a variable 'data'.",
    ),
}


class _Short(Exception):
    """A download that ended early; tried again."""


PASSING = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError, _Short)


@dataclass(frozen=True)
class ResumableDownloader:
    """Downloads into NAME.part beside the file, and goes on with it after a cut.

    A server says by `Range` support, size and ETag whether what is there can be kept; where it cannot, the download
    starts again. The file gets its name only when it is complete and has the checksum that is known.

    part : where the unfinished download lies.
    """

    part: Path
    progress: bool = True

    def __call__(self, url: str, target: Path, checksum: str | None = None) -> None:
        """Download `url` as `target`; `checksum` is its SHA-256, where it is known.

        Raises
        ------
        OSError
            No network, an HTTP error, a full disk, a server that always stops short: what was found, what to do.
        ValueError
            What came is complete, and not what it should be; it is kept as NAME.rejected.
        """
        self.part.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(f"{self.part}.lock", timeout=0):
                self._until_complete(url)
                found = _sha256(self.part)
                if checksum and found != checksum:
                    rejected = self.part.replace(target.with_name(f"{target.name}.rejected"))
                    self._stamp.unlink(missing_ok=True)
                    raise ValueError(f"its SHA-256 is {found}, expected {checksum}. It is kept as {rejected}.")
                put_in_place(self.part, target)
                self._stamp.unlink(missing_ok=True)
        except LockTimeout as error:
            raise OSError(f"{self.part} is being downloaded by another process: wait for it") from error

    def _until_complete(self, url: str) -> None:
        failures, most = 0, self._size()
        while True:
            try:
                self._continue(url)
                break
            except PASSING as error:
                # Only more than was ever there is progress: a server may cut, and say each time that the file changed.
                failures = 1 if self._size() > most else failures + 1
                most = max(most, self._size())
                if failures >= TRIES:
                    kept = f"{self._size()} bytes are kept: the same command goes on from there"
                    raise OSError(f"{url}: {_reason(error)} ({TRIES} tries). Is there a network? {kept}.") from error
                time.sleep(PAUSE * 2 ** (failures - 1))
            except requests.RequestException as error:  # an address, or a redirect to one, that cannot be asked
                raise OSError(f"{url}: cannot be downloaded ({error}). Nothing was put in place.") from error

    @property
    def _stamp(self) -> Path:
        """What the server said of the file when the part was begun."""
        return self.part.with_name(self.part.name + ".json")

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _continue(self, url: str) -> None:
        """One request; returns when the part is complete."""
        have, stamp = self._size(), self._begun(url)
        if not (stamp.get("tag") or stamp.get("total")):
            have = 0  # nothing to recognise the file by
        if have and have == stamp.get("total"):
            return
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
            if tag := stamp.get("tag"):
                headers["If-Range"] = tag
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            start, total = _range(answer)
            now = {"url": url, "tag": _tag(answer), "total": total}
            if answer.status_code == 429 or answer.status_code >= 500:
                raise _Short(f"the server answered {answer.status_code} {answer.reason}")
            if answer.status_code == 416 or (start and (start != have or stamp != now)):
                self._forget()  # the file on the server is another one by now: from the start, with the next request
                raise _Short("the file on the server changed between two parts")
            if answer.status_code not in (200, 206):
                raise OSError(
                    f"{url}: the server answered {answer.status_code} {answer.reason}. "
                    "The address may have changed: get the file by hand (python -m lkca datasets says from where)."
                )
            if not start:
                have = 0  # from the beginning: the server has no ranges, or it is another file
                self._stamp.write_text(json.dumps(now))
            self._write(answer, have, total)
        if total is not None and self._size() != total:
            raise _Short(f"the connection ended after {self._size()} of {total} bytes")

    def _write(self, answer: requests.Response, have: int, total: int | None) -> None:
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=self.part.stem, disable=not self.progress)
        with _said(self.part):
            out = self.part.open("ab" if have else "wb")
        with out, bar:
            for block in answer.iter_content(BLOCK):
                with _said(self.part):
                    out.write(block)
                    out.flush()
                bar.update(len(block))

    def _begun(self, url: str) -> dict:
        with contextlib.suppress(OSError, ValueError):
            stamp = json.loads(self._stamp.read_text())
            if isinstance(stamp, dict) and stamp.get("url") == url:
                return stamp
        return {}

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self._stamp.unlink(missing_ok=True)


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    """Names the file in the error of a disk."""
    try:
        yield
    except OSError as error:
        raise OSError(
            f"could not write {path}: {error.strerror or error}. Once that is put right, the same command goes on."
        ) from error


def _range(answer: requests.Response) -> tuple[int, int | None]:
    """First byte of the answer and size of the whole file, None where the server does not say."""
    if answer.status_code == 206:
        span, _, total = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("/")
        start = span.partition("-")[0]
        if start.isdigit():
            return int(start), int(total) if total.isdigit() else None
        return -1, None
    length = answer.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() and answer.status_code == 200 else None


def _tag(answer: requests.Response) -> str:
    """A strong ETag, else the date of the last change."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, _Short) else f"no answer, or the connection was cut ({type(error).__name__})"


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
        log(f"{name} is made from a seed: there is nothing to fetch")
        return True
    if dataset.package:
        missing = missing_files(dataset)
        log(missing or f"{name} is in the Python package {dataset.package}: there is nothing to fetch")
        return not missing
    folder = data_folder()
    fresh = [file for file in dataset.files if file in URLS and not (folder / file).is_file()]
    for file in fresh:
        _download(file, log, progress)
    for file in (file for file in dataset.files if (folder / file).is_file()):
        (folder / f"{file}.part.json").unlink(missing_ok=True)  # left where a download was killed when it had its name
    missing = [file for file in dataset.files if not (folder / file).is_file()]
    if missing:
        log(f"{dataset.title} has no address that leads straight to its files. By hand:")
        steps = (*STEPS.get(name, (f"Get it: {dataset.source}",)), f"Put {', '.join(missing)} into {folder}.")
        for number, step in enumerate((*steps, f"Run `python -m lkca fetch {name}` again: it verifies them."), 1):
            log(f"  {number}. {step}")
    for file in dataset.files:
        path = folder / file
        if not path.is_file():
            continue
        try:
            _verify(dataset, path, log)
        except ValueError as error:
            if file not in fresh:
                raise
            rejected = path.replace(path.with_name(f"{file}.rejected"))
            raise ValueError(f"{error} What was downloaded is kept as {rejected}.") from error
    return not missing


def _download(file: str, log: Log, progress: bool) -> None:
    folder, known = data_folder(), recorded().get(file)
    log(f"{file}: from {URLS[file]}")
    try:
        ResumableDownloader(folder / f"{file}.part", progress)(URLS[file], folder / file, known)
    except ValueError as error:
        raise ValueError(
            f"{file}: what came from {URLS[file]} has not the checksum that {folder / CHECKSUMS} recorded: {error} "
            "Nothing was put in place. If the publisher changed the file on purpose, remove its line there."
        ) from error


def _verify(dataset: Dataset, path: Path, log: Log) -> None:
    """Key, shape and type first, then the checksum; a checksum is recorded only of a file that is right."""
    if path.suffix.lower() in (".mat", ".hdr"):
        scene = open_scene(path, key=dataset.key)
        check_shape(dataset, scene)
        bands = sorted({0, scene.shape[0] // 2, scene.shape[0] - 1})
        values = scene.read(bands=bands)
        log(
            f"{path.name}: {scene.shape[1]} x {scene.shape[2]} pixels, {scene.shape[0]} bands, {scene.dtype}, "
            f"values {values.min():g} to {values.max():g} (in bands {', '.join(str(b + 1) for b in bands)})"
        )
        if not values.max() > 2:
            log(f"warning: {path.name}: the original holds larger numbers; is it normalised already?")
    new, old = _sha256(path), recorded().get(path.name)
    if old and old != new:
        raise ValueError(
            f"{path}: its checksum is {new}, but {path.parent / CHECKSUMS} recorded {old}: the file changed since. "
            "It was left as it is. Get it again, or remove its line there if the change is meant."
        )
    if not old:
        _record(path.name, new)
    log(f"{path.name}: SHA-256 {new}, {'as recorded' if old else f'now recorded in {path.parent / CHECKSUMS}'}")


def recorded() -> dict[str, str]:
    """SHA-256 by file name, from `checksums.json` in `LKCA_DATA`."""
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


def _record(file: str, checksum: str) -> None:
    content = json.dumps(recorded() | {file: checksum}, indent=2, sort_keys=True)
    with written_whole(data_folder() / CHECKSUMS) as temporary:
        temporary.write_text(content + "\n", encoding="utf-8")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
