"""The benchmarks run with tiny sizes, and their ratios are those of what took turns."""

import runpy
import sys
from pathlib import Path

import pandas as pd
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def run_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(FOLDER)

    def run(name: str, *options: str) -> pd.DataFrame:
        monkeypatch.setattr(sys, "argv", [name, "--csv", str(tmp_path / "table.csv"), *options])
        runpy.run_path(str(FOLDER / f"{name}.py"), run_name="__main__")
        return pd.read_csv(tmp_path / "table.csv")

    return run


def test_inference(run_benchmark) -> None:
    pytest.importorskip("openvino")
    options = ("--small", "--sizes", "4", "--threads", "1", "--rounds", "1", "--models", "vdsr")
    table = run_benchmark("bench_inference", *options)
    assert set(table["way"]) >= {"plain", "fast", "OpenVINO"} and set(table["model"]) == {"lkca-lr", "vdsr"}
    ours = table[table["model"] == "lkca-lr"].set_index("way")["milliseconds"]
    ratios = table["milliseconds"] / table["way"].map(ours)
    assert table["times LKCA-LR"].to_numpy() == pytest.approx(ratios.to_numpy(), rel=0.01)
    assert (table["threads"] == 1).all() and table["commit"].notna().all()


def test_layers(run_benchmark) -> None:
    table = run_benchmark("bench_layers", "--rounds", "1", "--blocks", "1")
    parts = table[table["layer"] != "whole network"]
    assert (parts["milliseconds"] > 0).all() and (parts["least milliseconds"] > 0).all()
    head = parts[parts["layer"] == "head 3x3"]
    assert head["MMACs"].tolist() == pytest.approx([128 * 128 * 9 * 32 * 32 / 1e6] * 2)


def test_sharpen(run_benchmark) -> None:
    options = ("--rows", "40", "--columns", "33", "--bands", "6", "--rounds", "1", "--ways", "sharpen, wiener")
    table = run_benchmark("bench_sharpen", *options).set_index("way")
    assert set(table.index) == {"GDAL cubic", "sharpen, wiener"} and table["times cubic"]["GDAL cubic"] == 1
    assert (table["until work"] < table["seconds"]).all() and table["GB"].between(0.02, 2).all()
    assert table["MPSNR"]["sharpen, wiener"] > table["MPSNR"]["GDAL cubic"] > 15
