"""Batches in a copy of the project: killed, stopped, changed and failing ones end as they should."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import nbformat
import pandas as pd
import psutil
import pytest

from lkca.files import project_root

TINY = """
data: tiny
sizes: meaningless numbers
settings: {dataset: synthetic, variant: tiny, epochs: 4, batch: 4}
lkca: {blocks: 1, channels: 16}
runs_per_job: 4
studies:
  block_count: {blocks: [1, 2]}
"""
# One of its two runs lacks its data.
HALF = """
data: tiny
sizes: meaningless numbers
settings: {stride: 40}
runs_per_job: 4
studies:
  benchmark: {cases: [[synthetic, 4], [pavia_centre, 4]], models: [bicubic]}
"""
NOTEBOOK = """from lkca.studies.tables import study_results, write_table
frame = study_results("block_count", profile)
write_table(frame[["blocks", "MPSNR"]], f"{profile}/block_count_quality")
print(frame.shape)"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of the project with profiles of runs that take a second, and one notebook."""
    for name in ("lkca", "workflow"):
        shutil.copytree(project_root() / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "pyproject.toml"):
        shutil.copy2(project_root() / name, tmp_path)
    (tmp_path / "README.md").write_text("<!-- begin: claims -->\n<!-- end: claims -->\n")
    profiles = tmp_path / "lkca" / "studies" / "profiles"
    (profiles / "tiny.yaml").write_text(TINY)
    (profiles / "half.yaml").write_text(HALF)
    parameters = nbformat.v4.new_code_cell("# Parameters of this notebook\nprofile = 'quick'".replace("'", '"'))
    parameters.metadata["tags"] = ["parameters"]
    notebook = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell(NOTEBOOK)])
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    (tmp_path / "notebooks").mkdir()
    nbformat.write(notebook, tmp_path / "notebooks" / "block_count.ipynb")
    return tmp_path


def start(checkout: Path, *arguments: str) -> subprocess.Popen:
    """Start `lkca` of the copy; its output goes to batch.log."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LKCA_")}
    environment = {**kept, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "LKCA_COMMIT": "test"}
    with (checkout / "batch.log").open("w") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "lkca", *arguments], cwd=checkout, env=environment, stdout=log, stderr=log,
            # a shell's job in the background ignores Ctrl-C, and so would all that pytest starts there
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip


def output_of(checkout: Path, *arguments: str) -> tuple[int, str]:
    """Return the exit status and the output of a command."""
    status = start(checkout, *arguments).wait(timeout=400)
    return status, (checkout / "batch.log").read_text()


def wait_for(checkout: Path, process: subprocess.Popen, pattern: str) -> list[psutil.Process]:
    """Wait until a file is there; return all processes of the command."""
    while not list(checkout.glob(pattern)):
        assert process.poll() is None, (checkout / "batch.log").read_text()
        time.sleep(0.02)
    return [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]


def jobs_of(output: str) -> list[str]:
    return re.findall(r"^(?:local)?rule (\w+):", output, re.MULTILINE)


@pytest.mark.timeout(600)
def test_a_killed_batch_continues_and_repeats_nothing(checkout: Path) -> None:
    command = ("study", "block_count", "--profile", "tiny", "--jobs", "2")
    process = start(checkout, *command)
    for each in wait_for(checkout, process, "runs/*lkca*/metrics.json"):
        each.kill()
    process.wait()
    times = {path: path.stat().st_mtime_ns for path in checkout.glob("runs/*/metrics.json")}
    status, output = output_of(checkout, *command)
    assert status == 0, output
    assert "profile tiny: 4 of 4 runs, 1 of 1 tables, 1 of 1 notebooks done" in output
    assert {path: path.stat().st_mtime_ns for path in times} == times
    executed = nbformat.read(checkout / "results/tiny/notebooks/block_count.ipynb", 4)
    assert executed.cells[-1].outputs[0].text.startswith("(4, ")
    assert (checkout / "results/README.md").is_file()

    # Now everything is done: another style of the figures trains nothing, another setting trains that run alone.
    (checkout / "lkca" / "plots").mkdir(exist_ok=True)
    (checkout / "lkca" / "plots" / "style.py").write_text("# another style\n")
    assert jobs_of(output_of(checkout, *command, "-n")[1]) == ["notebook", "index", "all"]
    settings = checkout / "lkca" / "studies" / "profiles" / "tiny.yaml"
    settings.write_text(settings.read_text().replace("blocks: [1, 2]", "blocks: [1, 3]"))
    jobs = jobs_of(output_of(checkout, *command, "-n")[1])
    assert jobs == ["train_together_0", "tables_together", "notebook", "index", "all"]


@pytest.mark.timeout(400)
def test_a_stopped_batch_leaves_no_process(checkout: Path) -> None:
    process = start(checkout, "study", "block_count", "--profile", "tiny", "--jobs", "1")
    started = wait_for(checkout, process, "runs/*/resume.pt")
    second = output_of(checkout, "study", "block_count", "--profile", "tiny")
    assert second[0] == 1 and second[1].startswith("error: another batch runs in ")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=100) == 130
    alive = psutil.wait_procs(started, timeout=60)[1]
    assert len(started) >= 3 and not alive
    assert not list((checkout / ".snakemake" / "locks").glob("*"))


@pytest.mark.timeout(400)
def test_what_fails_fails_alone_and_is_named(checkout: Path) -> None:
    status, output = output_of(checkout, "study", "benchmark", "--profile", "half", "--jobs", "1")
    assert status == 1
    assert "profile half: 1 of 2 runs, 0 of 1 tables, 0 of 0 notebooks done" in output
    assert re.search(r"  run pavia_centre-x4-bicubic-seed0-\w+: error: .*Pavia\.mat", output)


@pytest.mark.timeout(400)
def test_figures_are_drawn_from_the_tables_alone(checkout: Path) -> None:
    names = re.findall(r"run (\S+): not started", output_of(checkout, "status", "block_count", "--profile", "tiny")[1])
    (checkout / "results" / "tiny").mkdir(parents=True)
    frame = pd.DataFrame({"run": names, "blocks": range(len(names)), "MPSNR": 47.11, "recipe": 1})
    frame.to_csv(checkout / "results/tiny/block_count.csv", index=False)
    status, output = output_of(checkout, "figures", "block_count", "--profile", "tiny", "--jobs", "1")
    assert status == 0, output
    assert "47.11" in (checkout / "results/tiny/block_count_quality.csv").read_text()
    assert (checkout / "results/tiny/notebooks/block_count.ipynb").is_file()
    assert not list(checkout.glob("runs/*/metrics.json"))
    frame[1:].to_csv(checkout / "results/tiny/block_count.csv", index=False)
    status, output = output_of(checkout, "figures", "block_count", "--profile", "tiny")
    assert status == 1 and "not drawn: block_count; the table of block_count" in output
