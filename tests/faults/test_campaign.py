"""Faults on purpose: kills, full disks, flipped bits, damaged scene files. `make faults` tries them all.

A fault must end in the right result, or in an error that names the file; never in another result without a word.
"""

import dataclasses
import errno
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
import scipy.io
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from lkca import paths
from lkca.data.loaders import load_dataset
from lkca.data.split import Split
from lkca.scenes import open_scene
from lkca.training import record
from lkca.training.run_folder import load_result
from lkca.training.train import train
from lkca.training.weights import load_weights
from tests.faults.conftest import FULL
from tests.training.tiny_run import TINY, outcome

pytestmark = [pytest.mark.faults, pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(1200)]

RUN = dataclasses.replace(TINY, epochs=2, stride=16)
STEPS = 40  # of writing, in a run of two epochs: four of each of ten files
FLIPS = 120 if FULL else 10  # of each file
DAMAGES = 80 if FULL else 8  # of a scene file of each format


@pytest.fixture(scope="module")
def split() -> Split:
    return load_dataset("synthetic", "tiny")


@pytest.fixture(scope="module")
def finished(split: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with one that is finished."""
    runs = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LKCA_RUNS", str(runs))
        train(RUN, "cpu", str, split)
    return runs


def expected(finished: Path) -> tuple[bytes, bytes, bytes]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LKCA_RUNS", str(finished))
        return outcome(RUN)


def in_a_process(work: Callable[[], object]) -> int:
    """Do it in a child, which a kill does not survive; its exit status."""
    process = os.fork()
    if not process:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def at_step(number: int, do: Callable[[], None]) -> None:
    count = 0

    def told(*_: object) -> None:
        nonlocal count
        count += 1
        if count == number:
            do()

    paths.STEPS.append(told)


@pytest.mark.parametrize("step", range(1, STEPS + 1) if FULL else (6, 19, 33, 40))
def test_killed_at_a_step_of_a_writing(step: int, split: Split, finished: Path, tried: Callable) -> None:
    def killed() -> None:
        at_step(step, lambda: os._exit(9))
        train(RUN, "cpu", str, split)

    came = in_a_process(killed) == 9
    again = in_a_process(lambda: train(RUN, "cpu", str, split)) == 0
    left = [path.name for path in RUN.folder.glob(".*-*")]
    tried("kills", came and again and outcome(RUN) == expected(finished) and not left, step)


@pytest.mark.parametrize("write", range(1, 11) if FULL else (2, 5))
def test_disk_full_at_a_writing(write: int, split: Split, finished: Path, tried: Callable) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = list(paths.STEPS)
    at_step(4 * write - 2, full)  # when the content is written
    try:
        with pytest.raises(OSError, match=r"could not write .*: No space left on device; what stood"):
            train(RUN, "cpu", str, split)
    finally:
        paths.STEPS[:] = before
    train(RUN, "cpu", str, split)
    tried("full disks", outcome(RUN) == expected(finished), write)


@pytest.mark.parametrize("name", (*record.RECORDED, record.CHECKSUMS, "resume.pt"))
def test_one_bit_of_a_file_of_a_run(
    name: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tried: Callable
) -> None:
    monkeypatch.setenv("LKCA_RUNS", str(tmp_path / "copy"))
    shutil.copytree(finished, tmp_path / "copy")
    path = RUN.folder / name
    healthy = path.read_bytes()
    for bit in np.random.default_rng(0).integers(0, 8 * len(healthy), FLIPS):
        damaged = bytearray(healthy)
        damaged[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(damaged)
        try:
            if name == "resume.pt":
                _, checked = record.read_state(path)
                said = not checked  # then training says that no checksum is recorded, and torch reads no such state
            else:
                load_result(RUN)
                load_weights(RUN.folder / "weights.safetensors", run=RUN.name)
                said = False
        except ValueError as error:
            said = name in str(error) or name == "resume.pt"
        tried("flipped bits", said, (name, int(bit)))


def scene_file(kind: str, folder: Path) -> Path:
    cube = np.random.default_rng(0).integers(0, 999, (7, 6, 5)).astype(np.int16)
    path = folder / f"s.{kind.split()[0]}"
    if kind == "mat v5":
        scipy.io.savemat(path, {"cube": cube}, do_compression=True)
    elif kind == "mat v7.3":
        with h5py.File(path, "w") as file:
            file.create_dataset("cube", data=cube, compression="gzip")
    elif kind == "npy":
        np.save(path, cube)
    elif kind == "npz":
        np.savez_compressed(path, cube=cube)
    elif kind == "tif":
        with rasterio.open(
            path, "w", driver="GTiff", width=6, height=7, count=5, dtype="int16", compress="deflate"
        ) as raster:
            raster.write(cube.transpose(2, 0, 1))
    else:
        path.write_text(
            "ENVI\nsamples = 6\nlines = 7\nbands = 5\ndata type = 2\ninterleave = bip\nbyte order = 0\n"
            "header offset = 0\nwavelength units = nm\nwavelength = {400, 450, 500, 550, 600}\n"
            "map info = {UTM, 1, 1, 669640, 5328106, 4, 4, 32, North, WGS-84}\n"
        )
        path.with_suffix(".img").write_bytes(cube.tobytes())
    return path


@pytest.mark.parametrize("kind", ["mat v5", "mat v7.3", "npy", "npz", "tif", "hdr"])
def test_damaged_scene_file(kind: str, tmp_path: Path, tried: Callable) -> None:
    path = scene_file(kind, tmp_path)
    healthy = path.read_bytes()

    @settings(
        max_examples=DAMAGES, derandomize=True, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(
        st.lists(st.tuples(st.integers(0, len(healthy) - 1), st.integers(0, 255)), max_size=12),
        st.integers(0, len(healthy)) | st.just(len(healthy)),
    )
    def damaged(changes: list[tuple[int, int]], length: int) -> None:
        content = bytearray(healthy)
        for place, value in changes:
            content[place] = value
        path.write_bytes(content[:length])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                scene = open_scene(path)
                well = scene.at_once > 10**9 or scene.read(slice(0, 2)).shape[::2] == scene.shape[::2]
        except (ValueError, FileNotFoundError) as error:
            well = "s." in str(error) and "\n" not in str(error).strip()
            found = str(error)
        except Exception as error:
            well, found = False, repr(error)
        else:
            found = scene
        tried(f"damaged scenes, {kind}", well, (changes, length, found))

    damaged()
