"""An ENVI pair whose writing is killed at any step: no header stands beside data that is not its own."""

import os
from pathlib import Path

import numpy as np
import pytest

from lkca import paths
from lkca.scenes import open_scene
from lkca.scenes.writing import SceneWriter

OLD, NEW = np.full((2, 3, 4), 7, np.int16), np.arange(2 * 5 * 6, dtype=np.float32).reshape(2, 5, 6)


def write(path: Path, cube: np.ndarray) -> None:
    with SceneWriter(path, cube.shape, cube.dtype, overwrite=True) as writer:
        writer.write(0, cube)


def killed_at(step: int, work: object) -> bool:
    """Do `work` in a process that dies at its `step`-th step; whether it came that far."""
    process = os.fork()
    if not process:
        count = 0

        def kill(*_: object) -> None:
            nonlocal count
            count += 1
            if count > step:
                os._exit(9)

        paths.STEPS.append(kill)
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9


@pytest.mark.parametrize("suffix", [".img", ".tif"])
@pytest.mark.parametrize("before", [True, False])
def test_killed_at_every_step(before: bool, suffix: str, tmp_path: Path) -> None:
    step, came = 0, True
    while came:
        folder = tmp_path / str(step)
        folder.mkdir()
        path = folder / f"s{suffix}"
        if before:
            write(path, OLD)
        came = killed_at(step, lambda path=path: write(path, NEW))
        try:
            found = open_scene(path).cube
            assert np.array_equal(found, NEW) or (before and np.array_equal(found, OLD))
        except FileNotFoundError as error:
            assert "without its header" in str(error) or not path.exists()
            if path.exists():
                with pytest.raises(FileExistsError, match="exists without its header, as a writing leaves it"):
                    SceneWriter(path, NEW.shape, NEW.dtype)
        write(path, NEW)  # goes, and leaves nothing else
        assert np.array_equal(open_scene(path).cube, NEW)
        assert {file.name for file in folder.iterdir()} == ({"s.tif"} if suffix == ".tif" else {"s.img", "s.hdr"})
        step += 1
    assert step > (4 if suffix == ".tif" else 8)


def test_an_error_while_data_gets_its_name_keeps_the_old_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.img"
    write(path, OLD)
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("no")))
    with pytest.raises(OSError, match="could not write"):
        write(path, NEW)
    assert np.array_equal(open_scene(path).cube, OLD)
