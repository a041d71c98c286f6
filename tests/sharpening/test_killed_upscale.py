"""`upscale` killed as a whole command: nothing half-written under OUT's name, and the next one cleans up."""

import os
from pathlib import Path

import numpy as np
import pytest

from lkca import paths
from lkca.__main__ import main
from lkca.scenes import open_scene


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("out", ["out.tif", "out.hdr"])
def test_killed_it_leaves_nothing_under_its_name_and_is_cleaned_up(tmp_path: Path, out: str, step: int) -> None:
    np.save(tmp_path / "in.npy", np.random.default_rng(0).random((8, 9, 3), np.float32))
    command = ["upscale", str(tmp_path / "in.npy"), str(tmp_path / out), "--weights", "bicubic", "--no-quicklook"]
    process = os.fork()
    if not process:
        told: list[str] = []
        paths.STEPS.append(lambda what, _: (told.append(what), len(told) == step and os._exit(9)))
        os._exit(main(command))
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9
    assert not list(tmp_path.glob("out*")) and list(tmp_path.glob(".out-*"))
    assert main(command) == 0
    assert not list(tmp_path.glob(".out-*")) and open_scene(tmp_path / out).shape == (3, 32, 36)
