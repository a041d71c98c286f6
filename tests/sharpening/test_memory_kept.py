"""The most that a process of its own had resident while it sharpened a scene, against what it was given."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import scipy.io

# A first small scene, so that what is imported and prepared once is there before memory is counted.
CHILD = """
import sys
from pathlib import Path
from lkca.sharpening.feature_maps import resident
from lkca.sharpening.upscale import upscale
small, scene, weights, room = sys.argv[1:]
upscale(small, Path(small).with_name("first.tif"), weights, 2, log=str)
memory = resident() + float(room)
upscale(scene, Path(scene).with_name("out.img"), weights, 2, memory, log=str)
peak = int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024
print(int(peak - memory))  # ru_maxrss would begin with what the process that started this one has
"""


def written(kind: str, path: Path, bands: int, height: int, width: int) -> str:
    numbers = np.random.default_rng(0).integers(0, 4000, (bands, height, width)).astype(np.int16)
    if kind == "mat":
        scipy.io.savemat(path, {"cube": numbers.transpose(1, 2, 0)}, do_compression=True)
    else:  # one strip that is unpacked as a whole
        size = {"count": bands, "height": height, "width": width, "dtype": "int16", "blockysize": height}
        with rasterio.open(path, "w", driver="GTiff", compress="deflate", zlevel=1, **size) as raster:
            raster.write(numbers)
    return str(path)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux says there what a process had")
@pytest.mark.parametrize(
    ("kind", "weights", "room", "shape"),
    [("tif", "bicubic", 1.1e8, (80, 300, 400)), ("mat", "made", 7.0e7, (100, 90, 200))],
)
def test_no_more_than_given(kind: str, weights: str, room: float, shape: tuple[int, int, int], tmp_path: Path) -> None:
    small = written(kind, tmp_path / f"small.{kind}", 20, 24, 24)
    scene = written(kind, tmp_path / f"scene.{kind}", *shape)
    command = [sys.executable, "-W", "ignore", "-c", CHILD, small, scene, weights, str(room)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) <= 0
