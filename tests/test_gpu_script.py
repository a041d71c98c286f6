"""The GPU script runs whole on a CPU with tiny sizes, and a second command repeats nothing."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from lkca.models import MODELS

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
NETWORKS = {name for name, model in MODELS.items() if model.learned} - {"lkca-kd"}


@pytest.fixture
def run_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return a function that runs the script with further options and returns its exit status."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    import gpu

    def run(*options: str) -> int:
        arguments = ["gpu.py", "--tiny", "--device", "cpu", "--out", str(tmp_path / "gpu"), *options]
        monkeypatch.setattr(sys, "argv", arguments)
        with pytest.raises(SystemExit) as ended:
            gpu.main()
        return int(ended.value.code)

    return run


def test_every_part_writes_its_table_and_is_not_repeated(run_script: Callable[..., int], tmp_path: Path) -> None:
    out = tmp_path / "gpu"
    assert run_script() == 0
    tables = {name: pd.read_csv(out / f"{name}.csv") for name in ("checks", "latency", "training_cost", "runs")}

    checks = tables["checks"]
    assert checks["passed"].all()
    compared = checks.groupby("check")["model"].agg(set)
    assert all(compared[what] == NETWORKS for what in ("forward", "loss", "gradients", "bfloat16"))
    assert checks.loc[checks["check"] == "resume", "difference"].tolist() == [0]

    latency = tables["latency"]
    assert set(latency["model"]) == set(tables["training_cost"]["model"]) == NETWORKS
    assert (latency["milliseconds"] > 0).all() and (tables["training_cost"]["steps a second"] > 0).all()
    ours = latency.query("model == 'lkca-lr'")
    assert (ours["times LKCA-LR"] == 1).all() and len(ours) == 4  # batch 1 and 8, two precisions
    assert not latency.duplicated(["model", "precision", "batch", "size"]).any()

    runs = tables["runs"]
    assert runs["finished"].tolist() == [True] and runs["MPSNR"].notna().all()
    assert len(runs["data_checksum"][0]) == 64
    for table in tables.values():
        assert table[["commit", "started", "torch", "device", "cpu", "seed", "seconds"]].notna().all(axis=None)

    assert run_script() == 0
    for name, table in tables.items():
        pd.testing.assert_frame_equal(pd.read_csv(out / f"{name}.csv"), table)


def test_rows_of_another_commit_are_replaced_and_failed_checks_reported(
    run_script: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    from timing import Table

    path, cpu = tmp_path / "gpu" / "checks.csv", torch.device("cpu")
    table = Table(path, ("check", "model"), cpu, 0)
    for model, passed in (("vdsr", True), ("lkca", True), ("vdsr", False)):
        table.put(check="forward", model=model, difference=7.0, tolerance=1.0, passed=passed)
    assert pd.read_csv(path)["model"].tolist() == ["lkca", "vdsr"]
    assert Table(path, ("check", "model"), cpu, 0).has(check="forward", model="vdsr")
    pd.read_csv(path).assign(commit="older").to_csv(path, index=False)
    assert not Table(path, ("check", "model"), cpu, 0).has(check="forward", model="vdsr")

    assert run_script("--minutes", "0") == 1  # no time for anything but resuming
    assert "forward of vdsr" in capsys.readouterr().out
    path.unlink()
    assert run_script("--minutes", "0") == 0


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path)]
    hidden = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=hidden)
    assert done.returncode == 2 and "cuda" in done.stderr and "Traceback" not in done.stderr
