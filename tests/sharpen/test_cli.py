"""The command `sharpen` as a user meets it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from sharpen.cli import main
from sharpen.scene.io import open_scene
from tests.sharpen.scenes import mixture, small_network, write_envi, write_network

BICUBIC = ["--weights", "bicubic", "--scale", "2", "--no-quicklook"]


@pytest.fixture
def scene(tmp_path: Path) -> str:
    return str(write_envi(tmp_path / "scene.hdr", mixture().round().astype(np.int16)))


@pytest.mark.parametrize(
    ("words", "status"),
    [(["--help"], 0), (["--version"], 0), (["finetune", "--help"], 0), (["info", "-h"], 0), (["export", "-h"], 0),
     ([], 2), (["a", "b", "--scale", "3"], 2), (["a", "b", "--memory", "much"], 2), (["a", "b", "--memory", "2"], 2),
     (["a", "b", "--noise", "loud"], 2),
     (["a", "b", "--nothing"], 2), (["a"], 1)],
)  # fmt: skip
def test_help_and_wrong_arguments_need_no_torch(words: list[str], status: int) -> None:
    code = f"""
import sys
from sharpen.cli import main
try: status = main({words!r})
except SystemExit as end: status = end.code or 0
assert not {{"torch", "xarray", "rasterio", "pandas"}} & set(sys.modules), sorted(sys.modules)
sys.exit(status)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == status
    if status:
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    else:
        assert "sharpen" in done.stdout


def test_one_scene(scene: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out.tif")
    assert main([scene, out, *BICUBIC, "--memory", "1.5G"]) == 0
    printed = capsys.readouterr()
    assert "40 x 44 pixels" in printed.out and "0 values clipped" in printed.out and not printed.err
    assert main([scene, out, *BICUBIC]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "out.tif" in error and error.count("\n") == 1
    assert main([scene, out, *BICUBIC, "--overwrite"]) == 0


def test_several_scenes_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sources = [str(write_envi(tmp_path / f"s{n}.hdr", mixture(seed=n))) for n in range(2)]
    command = [*sources, f"{tmp_path}/out/", *BICUBIC]
    assert main(command) == 0 and len(capsys.readouterr().out.splitlines()) == 2
    assert main(command) == 0 and "done before" in capsys.readouterr().out
    assert main([*command, "--report", str(tmp_path / "p.html")]) == 1
    (tmp_path / "s0.img").write_bytes(b"")
    assert main([*command, "--overwrite"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "error" in lines[0] and "s0" in lines[0] and "error" not in lines[1]


@pytest.mark.parametrize(
    ("words", "named"),
    [(["nowhere.hdr", "out.tif"], "nowhere.hdr"), (["SCENE", "out.xyz"], "out.xyz"), (["SCENE", "no/out.tif"], "no"),
     (["SCENE", "out.tif", "--weights", "runs/none"], "runs/none"), (["SCENE", "out.tif", "--bands", "1-99"], "1-99"),
     (["SCENE", "out.tif", "--psf", "lens.npy"], "lens.npy"), (["SCENE", "out.tif", "--rgb", "1,2"], "1,2"),
     (["info", "nowhere.hdr"], "nowhere.hdr"), (["finetune", "nowhere.hdr"], "nowhere.hdr"),
     (["export", "SCENE", "--weights", "none"], "none")],
)  # fmt: skip
def test_what_cannot_be_is_one_line(
    words: list[str], named: str, scene: str, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main([scene if word == "SCENE" else word for word in words]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and named in error and error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_info(scene: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", scene]) == 0
    printed = capsys.readouterr().out
    for fact in ("20 x 22 pixels", "int16", "450 to 950 nm", "EPSG:32632", "500000, 5400000", "30 x 30"):
        assert fact in printed


def test_exported_network(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    import torch

    weights = write_network(tmp_path / "w.safetensors")
    target = tmp_path / "net.onnx"
    assert main(["export", str(target), "--weights", str(weights)]) == 0
    session = onnxruntime.InferenceSession(target, providers=["CPUExecutionProvider"])
    inputs = torch.randn(3, 5, 9, 14, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = small_network().limited(inputs).numpy()
    assert np.abs(session.run(None, {"lr": inputs.numpy()})[0] - expected).max() < 1e-4
    assert main(["export", str(target), "--weights", str(weights)]) == 1  # it exists


# --- kills, full disks, memory

CHILD = """
import sys
from sharpen.image.strips import Method
from sharpen.cli import main
strips = Method.strips
def hooked(self, lr, memory=float("inf")):
    for number, strip in enumerate(strips(self, lr, memory)):
        if number == 2 and lr.shape[1] > 16:
            {what}
        yield strip
Method.strips = hooked
sys.exit(main(sys.argv[1:]))
"""


def run_child(what: str, words: list[str], **options: object) -> subprocess.Popen:
    command = [sys.executable, "-c", CHILD.format(what=what), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


@pytest.mark.parametrize("name", ["out.tif", "out.hdr"])
def test_killed_half_way_the_old_file_stays(scene: str, tmp_path: Path, name: str) -> None:
    command = [scene, str(tmp_path / name), *BICUBIC, "--overwrite"]
    assert main(command) == 0
    kept = {path.name: path.read_bytes() for path in tmp_path.glob("out*")}
    child = run_child("import os; os._exit(9)", command)
    assert child.wait() == 9
    assert {path.name: path.read_bytes() for path in tmp_path.glob("out*")} == kept and list(tmp_path.glob(".out*"))
    assert main(command) == 0 and not list(tmp_path.glob(".out*"))  # what the killed one left is cleaned up
    assert open_scene(tmp_path / name).shape == (6, 40, 44)


def test_full_disk_is_one_line_and_leaves_nothing(scene: str, tmp_path: Path) -> None:
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    child = run_child(limit + "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))",
                      [scene, str(tmp_path / "out.tif"), *BICUBIC])  # fmt: skip
    _, error = child.communicate()
    assert child.returncode == 1 and error.splitlines()[-1].startswith("error: ") and "out.tif" in error
    assert not list(tmp_path.glob("*out*"))


def test_interrupted_it_says_so(scene: str, tmp_path: Path) -> None:
    wait = "open(sys.argv[2] + '.begun', 'w').close(); import time; time.sleep(60)"
    interruptible = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731
    child = run_child(wait, [scene, str(tmp_path / "out.tif"), *BICUBIC], preexec_fn=interruptible)
    while not (tmp_path / "out.tif.begun").exists():
        assert child.poll() is None
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGINT)
    _, error = child.communicate(timeout=60)
    assert child.returncode == 130 and "interrupted" in error and not list(tmp_path.glob("*out.tif"))


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux says there what a process has held")
@pytest.mark.parametrize(("weights", "room"), [("bicubic", 1.4e8), ("w.safetensors", 3.0e8)])
def test_no_more_memory_than_given(weights: str, room: float, tmp_path: Path) -> None:
    write_network(tmp_path / "w.safetensors")
    small = write_envi(tmp_path / "small.hdr", mixture(20, 24, 24).astype(np.int16))
    large = write_envi(tmp_path / "large.hdr", mixture(80, 300, 300).astype(np.int16))
    code = f"""
import sys
from sharpen.files import sharpen_file
from sharpen.image.tiles import resident
weights = {weights!r} if {weights!r} == "bicubic" else {str(tmp_path)!r} + "/" + {weights!r}
options = dict(scale=2, weights=weights, quicklook=False, log=str)
sharpen_file({str(small)!r}, {str(tmp_path / "first.tif")!r}, **options)  # what is imported and prepared once
memory = resident() + {room}
open("/proc/self/clear_refs", "w").write("5")  # the peak is counted from here
sharpen_file({str(large)!r}, {str(tmp_path / "out.img")!r}, memory=memory, **options)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(1024 * int(peak.split()[1]) - memory)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) <= 0
