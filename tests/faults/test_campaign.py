"""Faults on purpose in what the project writes itself: kills, full disks, flipped bits. `make faults` tries them all.

A fault must end in the right result, or in an error that names the file; never in another result without a word.
"""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from lkca.checkpoints import CHECKSUMS, RECORDED, load_result, load_weights
from lkca.data.fetch import fetch
from lkca.data.split import Split
from lkca.train import train
from sharpen.image.model import load_network, weights_path
from sharpen.scene.io import open_scene, write_scene
from tests.data.conftest import folder  # noqa: F401 - a fixture
from tests.data.test_fetch import Server, server  # noqa: F401 - a fixture
from tests.faults.conftest import FULL
from tests.faults.processes import at_step, full_disk_at, in_a_process, kill, steps_of
from tests.training.conftest import split  # noqa: F401 - a fixture
from tests.training.tiny import FILES, TINY, files, move_runs, outcome, quiet

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(1200)]

RUN = dataclasses.replace(TINY, epochs=2, stride=16)
WRITES = 10  # of a run: settings and provenance, 3 files of each epoch, then provenance, checksums, metrics
FLIPS = 120 if FULL else 8  # of each file
RESUMES = 20 if FULL else 2  # with a flipped bit in each file of an unfinished run
SERVERS = 60 if FULL else 4


def sample(count: int, taken: int) -> list[int]:
    """Return the numbers 1 to count, or a few of them in a sample."""
    return list(range(1, count + 1)) if FULL else np.linspace(1, count, taken).astype(int).tolist()


def flipped(content: bytes, number: int) -> bytes:
    """Return the content with one bit flipped, drawn by a number."""
    damaged, bit = bytearray(content), np.random.default_rng(number).integers(0, 8 * len(content))
    damaged[bit // 8] ^= 1 << int(bit % 8)
    return bytes(damaged)


@pytest.fixture(scope="module")
def finished(split: Split, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple]:  # noqa: F811
    """A folder of runs with one that is finished, and what is right."""
    runs = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LKCA_RUNS", str(runs))
        train(RUN, "cpu", quiet, split)
        return runs, outcome(RUN)


def test_kills_at_steps_of_a_run(split: Split, finished: tuple, tmp_path: Path, monkeypatch, tried: Callable) -> None:  # noqa: F811
    work = lambda: train(RUN, "cpu", quiet, split)  # noqa: E731
    steps = steps_of(work)
    for step in sample(len(steps), 4):
        monkeypatch.setenv("LKCA_RUNS", str(tmp_path / f"killed {step}"))

        def killed(number: int = step) -> None:
            with at_step(number, kill):
                work()

        well = in_a_process(killed) == 9 and in_a_process(work) == 0
        well = well and outcome(RUN) == finished[1] and files(RUN.folder) == FILES
        tried("a run, killed", "equal" if well else "silent", (step, steps[step - 1]))


@pytest.mark.parametrize("write", sample(WRITES, 2))
def test_full_disk_at_a_writing_of_a_run(write: int, split: Split, finished: tuple, tried: Callable) -> None:  # noqa: F811
    with full_disk_at(write), pytest.raises(OSError, match=r"could not write .*: No space left on device"):
        train(RUN, "cpu", quiet, split)
    train(RUN, "cpu", quiet, split)
    tried("a run, full disk", "equal" if outcome(RUN) == finished[1] else "silent", write)


@pytest.fixture
def copied(finished: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple:
    """Copy the finished run where this test may damage it; return what is right."""
    move_runs(monkeypatch, tmp_path)
    shutil.copytree(finished[0] / RUN.folder.name, RUN.folder)
    return finished[1]


@pytest.mark.parametrize("name", (*RECORDED, CHECKSUMS))
def test_a_bit_of_a_finished_run(name: str, copied: tuple, tried: Callable) -> None:
    path = RUN.folder / name
    healthy, right = path.read_bytes(), load_result(RUN)
    for number in range(FLIPS):
        path.write_bytes(flipped(healthy, number))
        try:
            found = load_result(RUN)
            load_weights(RUN.folder)
            same = (found.metrics, found.record) == (right.metrics, right.record) and outcome(RUN) == copied
            verdict = "equal" if same else "silent"
        except ValueError as error:
            verdict = "refused" if name in str(error) else "silent"
        tried("a finished run, a bit flipped", verdict, (name, number))


@pytest.mark.parametrize("name", ("resume.pt", *RECORDED[:-1]))
def test_a_bit_of_a_run_that_is_resumed(name: str, copied: tuple, split: Split, tried: Callable) -> None:  # noqa: F811
    """Damaged files of an unfinished run are made anew, or named."""
    healthy = {path.name: path.read_bytes() for path in RUN.folder.iterdir()}
    for number in range(RESUMES if name != "resume.pt" else FLIPS):
        for file, content in healthy.items():
            (RUN.folder / file).write_bytes(content if file != name else flipped(content, number))
        for file in ("metrics.json", CHECKSUMS):
            (RUN.folder / file).unlink()
        try:
            train(RUN, "cpu", quiet, split)
            verdict = "equal" if outcome(RUN) == copied else "silent"
        except ValueError as error:
            verdict = "refused" if str(RUN.folder) in str(error) else "silent"
        tried("an unfinished run, a bit flipped", verdict, (name, number))


def test_a_bit_of_pretrained_weights(tmp_path: Path, tried: Callable) -> None:
    path = tmp_path / "w.safetensors"
    healthy = weights_path(None, 2).read_bytes()
    for number in range(FLIPS):
        path.write_bytes(flipped(healthy, number))
        try:
            load_network(path)
            verdict = "silent"
        except ValueError as error:
            verdict = "refused" if path.name in str(error) else "silent"
        tried("pretrained weights, a bit flipped", verdict, number)


# --- scenes that are written

SCENE = xr.DataArray(np.random.default_rng(0).integers(0, 99, (3, 40, 7)).astype(np.int16), dims=("band", "y", "x"))


def reads_as(path: Path, *allowed: xr.DataArray | None) -> bool:
    """Return whether a scene is one of those allowed; None stands for one that is not there, or refused."""
    try:
        found = open_scene(path).values
    except (FileNotFoundError, ValueError):
        return None in [each if each is None else 0 for each in allowed]
    return any(each is not None and np.array_equal(found, each.values) for each in allowed)


@pytest.mark.parametrize("name", ["s.tif", "s.img"])
@pytest.mark.parametrize("existing", [False, True])
def test_kills_at_steps_of_a_written_scene(name: str, existing: bool, tmp_path: Path, tried: Callable) -> None:
    def begin(place: Path) -> Path:
        place.mkdir()
        if existing:
            write_scene(place / name, SCENE)
        return place / name

    new = SCENE + np.int16(1)
    counted = begin(tmp_path / "counted")
    steps = steps_of(lambda: write_scene(counted, new, overwrite=True))
    written = {path.name for path in counted.parent.iterdir()}
    for step in sample(len(steps), 2):
        path = begin(tmp_path / str(step))

        def killed(path: Path = path, number: int = step) -> None:
            with at_step(number, kill):
                write_scene(path, new, overwrite=True)

        # Where an ENVI pair is exchanged, there is no header for a moment: it is refused.
        allowed = (SCENE, new, None) if existing and name == "s.img" else (SCENE if existing else None, new)
        well = in_a_process(killed) == 9 and reads_as(path, *allowed)
        write_scene(path, new, overwrite=True)
        well = well and reads_as(path, new) and {file.name for file in path.parent.iterdir()} == written
        tried("a written scene, killed", "equal" if well else "silent", (name, step, steps[step - 1]))


@pytest.mark.parametrize("name", ["s.tif", "s.img"])
@pytest.mark.parametrize("write", [1, 2])
def test_full_disk_at_a_writing_of_a_scene(name: str, write: int, tmp_path: Path, tried: Callable) -> None:
    if (name, write) == ("s.tif", 2):
        pytest.skip("a GeoTIFF is one file")
    write_scene(tmp_path / name, SCENE)
    with full_disk_at(write), pytest.raises(OSError, match=r"s\.(tif|img|hdr)"):
        write_scene(tmp_path / name, SCENE + np.int16(1), overwrite=True)
    tried("a written scene, full disk", "equal" if reads_as(tmp_path / name, SCENE, None) else "silent", write)


# --- fetch


def test_kills_at_steps_of_fetch(server: Server, folder: Path, tried: Callable) -> None:  # noqa: F811
    work = lambda: fetch("pavia_centre", quiet, progress=False)  # noqa: E731
    path = folder / "Pavia.mat"
    steps = steps_of(work)
    for step in sample(len(steps), 2):
        for file in folder.iterdir():
            file.unlink()

        def killed(number: int = step) -> None:
            with at_step(number, kill):
                work()

        well = in_a_process(killed) == 9 and (not path.exists() or path.read_bytes() == server.content)
        well = well and work() and path.read_bytes() == server.content
        left = {file.name for file in folder.iterdir()}
        well = well and left == {"Pavia.mat", "checksums.json"}
        tried("fetch, killed", "equal" if well else "silent", (step, steps[step - 1], left))


@pytest.mark.parametrize("seed", range(SERVERS))
def test_server_of_any_kind(seed: int, server: Server, folder: Path, tried: Callable) -> None:  # noqa: F811
    """It cuts, refuses, is busy, and sends another file than it announced."""
    draw = np.random.default_rng(seed)
    server.cuts = [int(cut) for cut in draw.integers(0, 9000, draw.integers(0, 5))]
    server.statuses = [int(status) for status in draw.choice([404, 416, 429, 500, 503], draw.integers(0, 4))]
    right = server.content
    if seed % 3 == 0:
        server.content = flipped(right, seed)
    path = folder / "Pavia.mat"
    try:
        fetch("pavia_centre", quiet, progress=False)
        verdict = "equal" if path.read_bytes() == right else "silent"
    except (OSError, ValueError) as error:
        named = server.url in str(error) or "Pavia.mat" in str(error)
        verdict = "refused" if named and not path.exists() else "silent"
    tried("fetch, hostile servers", verdict, (seed, server.asked))
