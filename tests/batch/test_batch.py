"""Batches: what a plan holds, what is told of failures, and that a batch killed anywhere ends as if it had not been."""

import dataclasses
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

from lkca.batch import plan as batch
from lkca.batch import state
from lkca.batch.report import make_report
from lkca.batch.start import drawable, take_lock
from lkca.paths import project_root
from lkca.studies.catalogue import STUDIES, study_runs
from lkca.studies.profiles import PROFILES, Profile
from lkca.studies.results import TRACE, study_results
from lkca.training.train import train

TINY = Profile(
    name="tiny",
    data="tiny",
    sizes="meaningless numbers",
    settings={"dataset": "synthetic", "reading": "tiny", "epochs": 4, "batch": 4},
    options={"blocks": 1, "channels": 16},
    seeds=(0,),
    blocks=(1, 2),
    teacher_blocks=2,
    datasets=("synthetic",),
)

# A study of two runs, one of them without its data.
HALF = """Study(
    "half", "half", lambda p: [p.run("bicubic", 0), p.run("bicubic", 0, dataset="pavia_centre", reading=None)]
)"""

NOTEBOOK = """from lkca.studies.results import study_results
from lkca.tables import write_table
frame = study_results("block_count", profile)
write_table(frame[["blocks", "MPSNR"]], f"{profile}/block_count_quality")"""


@pytest.fixture
def folders(tmp_path_factory, monkeypatch):
    """Folders of their own for runs and results."""
    folder = tmp_path_factory.mktemp("folders")
    monkeypatch.setenv("LKCA_RUNS", str(folder / "runs"))
    monkeypatch.setenv("LKCA_OUTPUT", str(folder))
    return folder


@pytest.fixture
def short():
    """Whether the profile's runs share processes."""
    return False


@pytest.fixture
def checkout(tmp_path, short):
    """A copy of the project with a profile of runs that take a second, and one notebook."""
    root = project_root()
    for name in ("lkca", "workflow"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Snakefile", "pyproject.toml"):
        shutil.copy2(root / name, tmp_path)
    with (tmp_path / "lkca/studies/profiles.py").open("a") as profiles:
        profiles.write(f"PROFILES['tiny'] = {dataclasses.replace(TINY, short=short)}\n")
    with (tmp_path / "lkca/studies/catalogue.py").open("a") as studies:
        studies.write(f"STUDIES['half'] = {HALF}\n")
    parameters = nbformat.v4.new_code_cell("# Parameters of this notebook\nprofile = 'quick'")
    parameters.metadata["tags"] = ["parameters"]
    write_notebook(tmp_path / "notebooks/block_count.ipynb", parameters, nbformat.v4.new_code_cell(NOTEBOOK))
    return tmp_path


def write_notebook(path: Path, *cells: nbformat.NotebookNode) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), path)


def start(checkout: Path, *arguments: str) -> subprocess.Popen:
    """`python -m lkca` of the copy, as the first of its process group."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("LKCA_")}
    env = {**kept, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    log = (checkout / "batch.log").open("a")
    command = [sys.executable, "-m", "lkca", *arguments, "--profile", "tiny"]
    # A shell's job in the background ignores Ctrl-C, and so would all that pytest starts there.
    heard = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    streams = {"stdout": log, "stderr": log}
    return subprocess.Popen(command, cwd=checkout, env=env, start_new_session=True, preexec_fn=heard, **streams)


def told(checkout: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and output of a command."""
    (checkout / "batch.log").write_text("")
    status = start(checkout, *arguments).wait(timeout=200)
    return status, (checkout / "batch.log").read_text()


def jobs_of(output: str) -> list[str]:
    return re.findall(r"^(?:local)?rule (\w+):", output, re.MULTILINE)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("short", [False, True])
def test_batch_killed_three_times_ends_the_same_and_repeats_nothing(checkout, folders, monkeypatch, short):
    finished = {}
    for milestone in ("runs/*/resume.pt", "runs/*lkca*/metrics.json", "results/tiny/block_count.csv"):
        process = start(checkout, "study", "block_count", "--jobs", "1")
        while not list(checkout.glob(milestone)):
            assert process.poll() is None, (checkout / "batch.log").read_text()
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        finished |= {path: path.stat().st_mtime_ns for path in checkout.glob("runs/*/metrics.json")}
    status, output = told(checkout, "study", "block_count", "--jobs", "1")
    assert status == 0, output
    assert re.search(r"profile tiny: (\d) of \1 runs, 1 of 1 tables, 1 of 1 notebooks done", output)
    assert {path: path.stat().st_mtime_ns for path in finished} == finished

    monkeypatch.setitem(PROFILES, "tiny", TINY)
    study_results("block_count", "tiny", "cpu", log=lambda _: None)
    undisturbed = pd.read_csv(folders / "results/tiny/block_count.csv")
    again = pd.read_csv(checkout / "results/tiny/block_count.csv")
    same = [name for name in undisturbed if name not in TRACE]
    pd.testing.assert_frame_equal(again[same], undisturbed[same], check_exact=True)
    assert (checkout / "results/tiny/block_count_quality.csv").is_file()

    # Now everything is done: another look of the figures trains nothing, another setting trains that run.
    with (checkout / "lkca/figures/style.py").open("a") as plots:
        plots.write("# another look\n")
    assert jobs_of(told(checkout, "study", "block_count", "-n")[1]) == ["notebook", "all"]
    studies = (checkout / "lkca/studies/profiles.py").read_text()
    assert "blocks=(1, 2)" in studies
    (checkout / "lkca/studies/profiles.py").write_text(studies.replace("blocks=(1, 2)", "blocks=(1, 3)"))
    assert jobs_of(told(checkout, "study", "block_count", "-n")[1]) == ["train", "collect", "notebook", "all"]


@pytest.mark.parametrize("short", [True])
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_batch_leaves_nobody_at_work(checkout, short, sign):
    process = start(checkout, "study", "block_count", "--jobs", "2")
    while not list(checkout.glob("runs/*/resume.pt")):
        assert process.poll() is None, (checkout / "batch.log").read_text()
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    # Ctrl-C comes to all of the terminal's processes, SIGTERM to one.
    os.killpg(process.pid, sign) if sign == signal.SIGINT else process.send_signal(sign)
    assert process.wait(timeout=60) == 1
    gone, alive = psutil.wait_procs(workers, timeout=30)
    assert len(gone) >= 2 and not alive
    assert "snakemake" not in (checkout / "batch.log").read_text().lower()


@pytest.mark.parametrize("short", [False, True])
def test_what_fails_fails_alone_and_is_named(checkout, short):
    status, output = told(checkout, "study", "half", "--jobs", "1")
    assert status == 1
    assert "1 of 2 runs, 0 of 1 tables, 0 of 0 notebooks done" in output
    assert re.search(r"run pavia_centre-x4-bicubic-seed0-\w+: error: .*Pavia\.mat", output)
    assert "table half: needs 1 more run" in output


def test_figures_are_drawn_again_from_the_csv_alone(checkout, monkeypatch):
    monkeypatch.setitem(PROFILES, "tiny", TINY)
    runs = [run.name for run in study_runs("block_count", "tiny")]
    (checkout / "results/tiny").mkdir(parents=True)
    frame = pd.DataFrame({"run": runs, "blocks": range(len(runs)), "MPSNR": 47.11})
    frame.to_csv(checkout / "results/tiny/block_count.csv", index=False)
    status, output = told(checkout, "figures", "block_count", "--jobs", "1")
    assert status == 0, output
    assert "47.11" in (checkout / "results/tiny/block_count_quality.md").read_text()
    assert (checkout / "results/tiny/notebooks/block_count.ipynb").is_file()
    assert not (checkout / "runs").exists()


def test_plan_holds_every_teacher_once(folders):
    plan = batch.make_plan("distillation", "quick")
    students = [run for run in study_runs("distillation", "quick") if run.distillation]
    teacher = students[0].teacher()
    assert list(plan.runs)[0] == teacher.name
    assert set(plan.runs) == {run.name for run in (teacher, *study_runs("distillation", "quick"))}
    plan = batch.make_plan("all", "quick")
    assert plan.studies == tuple(name for name in STUDIES if study_runs(name, "quick"))
    assert set(STUDIES) - set(plan.studies) == {"until_flat"}
    assert plan.tables_of("verdicts") == plan.tables_of("convergence") == list(plan.studies)
    assert plan.tables_of("visual") == ["benchmark"] and plan.tables_of("cost") == []


@pytest.mark.parametrize(("study", "profile"), [("distil", "quick"), ("distillation", "quik")])
def test_unknown_names_are_told_with_what_there_is(study, profile):
    with pytest.raises(ValueError, match=r"unknown (study 'distil'.*distillation|profile 'quik'.*quick)"):
        batch.make_plan(study, profile)


def test_a_run_that_no_study_has(folders):
    with pytest.raises(ValueError, match="no study has a run 'nosuch'"):
        batch.make_plan("benchmark", "quick").find("nosuch")


def test_damaged_metrics_are_set_aside_and_whole_ones_stay(folders, monkeypatch):
    bicubic = next(run for run in study_runs("benchmark", "quick") if run.model == "bicubic")
    train(bicubic, "cpu")
    plan = batch.make_plan("benchmark", "quick")
    assert state.set_aside_damaged(plan) == []
    path = bicubic.folder / "metrics.json"
    path.write_text(path.read_text()[:100])
    (line,) = state.set_aside_damaged(plan)
    assert str(path) in line
    assert not path.exists()
    assert train(bicubic, "cpu").metrics["MPSNR"] > 20


def test_summary_says_why(folders):
    plan = batch.make_plan("distillation", "quick")
    student = next(run for run in plan.runs.values() if run.distillation)
    teacher = student.teacher()
    teacher.folder.mkdir(parents=True)
    (teacher.folder / "log.txt").write_text("epoch 1\nerror: scene.mat is missing\n\n")
    text, done = state.summary(plan)
    assert not done
    assert f"run {teacher.name}: error: scene.mat is missing" in text
    assert f"run {student.name}: needs its teacher {teacher.name}" in text
    assert f"table distillation: needs {len(study_runs('distillation', 'quick'))} more runs" in text


def test_a_second_batch_is_told_who_is_at_work(tmp_path):
    lock = take_lock(tmp_path / "batch.lock")
    os.pwrite(lock, b"process 17: study all", 0)
    with pytest.raises(ValueError, match="another batch is at work here .process 17: study all"):
        take_lock(tmp_path / "batch.lock")
    os.close(lock)
    os.close(take_lock(tmp_path / "batch.lock"))


def test_only_current_tables_are_redrawn(folders, monkeypatch):
    monkeypatch.setattr(batch, "notebook_folder", lambda: folders / "notebooks")
    for name in ("block_count", "distillation", "quickstart", "cost"):
        write_notebook(folders / f"notebooks/{name}.ipynb")
    plan = batch.make_plan("all", "quick")
    for study, runs in (("block_count", study_runs("block_count", "quick")), ("distillation", plan.runs.values())):
        plan.table(study).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"run": [run.name for run in runs]}).to_csv(plan.table(study), index=False)
    assert drawable(plan) == [f"results/quick/notebooks/{name}.ipynb" for name in ("block_count", "cost")]
    with pytest.raises(ValueError, match="nothing to draw"):
        drawable(batch.make_plan("distillation", "quick"))


def test_report_is_whole_without_the_internet(folders, monkeypatch):
    monkeypatch.setattr(batch, "notebook_folder", lambda: folders / "notebooks")
    with pytest.raises(FileNotFoundError, match="no executed notebook"):
        make_report("quick")
    heading = nbformat.v4.new_markdown_cell("# How many blocks?")
    for folder in ("notebooks", "results/quick/notebooks"):
        write_notebook(folders / folder / "block_count.ipynb", heading)
    (folders / "results/quick/table_1_blocks.md").write_text("| blocks |\n|---|\n| 4711 |\n")
    (folders / "figures/quick").mkdir(parents=True)
    (folders / "figures/quick/table_1_blocks.png").write_bytes(b"png")
    page = make_report("quick").read_text()
    assert '<a href="block_count.html">How many blocks?</a>' in page
    assert "<td>4711</td>" in page
    assert "synthetic scenes" in page
    assert 'src="figures/quick/table_1_blocks.png"' in page and 'id="More"' not in page
    assert (folders / "site/figures/quick/table_1_blocks.png").read_bytes() == b"png"
    for path in (folders / "site").glob("*.html"):
        assert not re.search(r"""(src|href)=["'](https?:)?//|@import|url\(["']?http""", path.read_text())
