"""What the notebooks `benchmark`, `visual` and `regions` compute: every network on one dataset, the paper beside it,
and how far a result depends on the scene that tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lkca.data.loaders import find_dataset
from lkca.data.split import Split
from lkca.measures.metrics import HIGHER_IS_BETTER, METRICS
from lkca.models import MODELS, model_names
from lkca.paper.tables import COST_TABLES, paper_costs, paper_table
from lkca.paths import Log, results_folder
from lkca.studies.catalogue import benchmark_runs, study_runs
from lkca.studies.intervals import over, with_verdict
from lkca.studies.profiles import find_profile
from lkca.studies.results import over_seeds, write_rows
from lkca.studies.rows_of_runs import read_or_train
from lkca.tables import BEST, SECOND
from lkca.training.evaluation import low_resolution, predict
from lkca.training.run import Run
from lkca.training.train import train

Cube = NDArray[np.floating]  # (B, H, W)


@dataclass(frozen=True)
class Case:
    """One dataset and scale: the paper's Table V, VI or VII, or the same of other data.

    frame : rows of the runs, empty where the data is absent. ours : mean over seeds, a row a model.
    paper : the paper's rows, None where it has none of this dataset and scale.
    notes : what the table does not show: absent data, models left out, seeds that diverged.
    """

    dataset: str
    scale: int
    title: str
    frame: pd.DataFrame
    ours: pd.DataFrame
    paper: pd.DataFrame | None
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{Path(self.dataset).stem}_x{self.scale}"

    @property
    def table_name(self) -> str:
        """After the paper's table of this dataset, or of all three where it has none."""
        number = next((name[5] for name in COST_TABLES if name.endswith(f"_{self.dataset}")), "5_to_7")
        return f"table_{number}_{self.name}"

    def table(self) -> pd.DataFrame:
        """A row a model; where the paper has the dataset three: ours, the paper's and the difference."""
        if self.paper is None:
            return self.ours
        order = {model: place for place, model in enumerate(MODELS)}
        tables = {"ours": self.ours, "paper": self.paper}
        if len(self.ours):
            numbers = ["params_M", "macs_G", *METRICS]
            ours, paper = (table.set_index("model")[numbers] for table in tables.values())
            tables["ours - paper"] = (ours - paper).dropna(how="all").reset_index()
        both = pd.concat([table.assign(source=source) for source, table in tables.items()], ignore_index=True)
        both = both.iloc[np.argsort(both["model"].map(order), kind="stable")].reset_index(drop=True)
        return both[["model", "source", *(column for column in self.ours if column in both and column != "model")]]


def cases(profile: str, dataset: str = "", scale: int = 0) -> list[tuple[str, int]]:
    """The (dataset, scale) pairs of a profile, or those of the dataset or scale asked for.

    A dataset that the profile does not have is taken at the profile's scales.
    """
    known = find_profile(profile).cases
    if dataset and dataset not in dict(known):
        known = [(dataset, s) for s in dict.fromkeys(s for _, s in known)]
    if scale and scale not in [s for _, s in known]:
        known = [(d, scale) for d in dict.fromkeys(d for d, _ in known)]
    return [(d, s) for d, s in known if dataset in ("", d) and scale in (0, s)]


def case_runs(profile: str, dataset: str, scale: int, models: Sequence[str] = ()) -> list[Run]:
    """The runs of one case; `models` empty takes the profile's.

    Raises
    ------
    ValueError
        If there is no such profile, dataset or model.
    """
    chosen = find_profile(profile)
    return benchmark_runs(replace(chosen, cases=((dataset, scale),), models=tuple(models) or chosen.models))


def compare(
    profile: str, dataset: str, scale: int, models: Sequence[str] = (), device: str = "auto", log: Log = print
) -> Case:
    """One case: read from the study's table where it has the runs, else what is missing is trained.

    Data that is absent is no error: the paper's rows are still worth a look, and the notes say what is missing.
    """
    chosen, notes = find_profile(profile), []
    runs = case_runs(profile, dataset, scale, models)
    try:
        frame = _results(profile, runs, f"{profile}/benchmark_{Path(dataset).stem}_x{scale}_runs", device, log)
        ours = over_seeds(frame, ["model"])
    except FileNotFoundError as error:
        notes.append(f"No results of ours: {error}")
        frame = ours = pd.DataFrame(columns=["model", "params_M", "macs_G", *METRICS])
    else:
        absent = [model for model in model_names() if model not in set(frame["model"])]
        if absent:
            why = "not asked for" if models else f"profile {profile!r} leaves out what it has no time for"
            notes.append(f"Not in this table: {', '.join(absent)} ({why}).")
        for run in frame[frame["diverged_in_epoch"].notna()].itertuples():
            notes.append(
                f"{run.model}, seed {run.seed}: the loss became NaN in epoch {run.diverged_in_epoch:.0f}; measured "
                f"with its best weights before that."
            )
    title = f"{find_dataset(dataset).title}, x{scale}\n{chosen.sizes}"
    return Case(dataset, scale, title, frame, ours, paper_case(dataset, scale), tuple(notes))


def _results(profile: str, runs: Sequence[Run], name: str, device: str, log: Log) -> pd.DataFrame:
    everything = {run.name for run in study_runs("benchmark", profile)} == {run.name for run in runs}
    made = f"{profile}/benchmark" if everything else name
    path = results_folder() / profile / "benchmark.csv"
    return read_or_train(path, runs, lambda: write_rows(runs, made), device, log, among_others=True)


def paper_case(dataset: str, scale: int) -> pd.DataFrame | None:
    """The paper's rows of a dataset and scale, the misprinted costs put right; None if it has none."""
    tables = pd.concat([paper_table(name) for name in COST_TABLES], ignore_index=True)
    chosen = tables[(tables["dataset"] == dataset) & (tables["scale"] == scale)]
    if chosen.empty:
        return None
    costs = paper_costs().drop(columns="corrected")
    chosen = chosen.drop(columns=["params_M", "macs_G"]).merge(costs, how="left", on=["dataset", "scale", "model"])
    return chosen[["model", "params_M", "macs_G", *METRICS]]


def best_and_second(table: pd.DataFrame) -> pd.DataFrame:
    """Marks for `lkca.tables`: the best and the second best of each metric, apart for each `source`.

    Equal values share a mark; differences are not marked.
    """
    marks = pd.DataFrame("", index=table.index, columns=list(METRICS))
    sources = table["source"] if "source" in table else pd.Series("ours", table.index)
    for source in ("ours", "paper"):
        for metric in METRICS:
            values = table.loc[sources == source, metric].astype(float).dropna()
            ranked = values.drop_duplicates().sort_values(ascending=not HIGHER_IS_BETTER[metric]).tolist()
            for mark, value in zip((BEST, SECOND), ranked, strict=False):
                marks.loc[values.index[values == value], metric] = mark
    return marks


def claims(case: Case) -> list[str]:
    """Sentences: what the low-rank upsampler loses, and what distillation wins back, ours and the paper's."""
    sentences = []
    for source, table in (("Ours", case.ours), ("The paper", case.paper)):
        if table is None or not {"lkca", "lkca-lr", "lkca-kd"} <= set(table["model"]):
            continue
        quality = table.set_index("model")["MPSNR"]
        lost, won = quality["lkca-lr"] - quality["lkca"], quality["lkca-kd"] - quality["lkca-lr"]
        text = f"{source}: LKCA-LR {lost:+.3f} dB against LKCA-Net, LKCA-KD {won:+.3f} dB against LKCA-LR"
        spread = table.set_index("model").get("MPSNR_sd", pd.Series(dtype=float)).get("lkca-lr", np.nan)
        text += f"; LKCA-LR's seeds differ by {spread:.3f} dB (standard deviation)." if spread > 0 else ", one seed."
        sentences.append(text)
    return sentences


def images_of(runs: Sequence[Run], split: Split, image: int = 0, device: str = "auto", log: Log = print) -> tuple[
    Cube, Cube, dict[str, Cube]
]:  # fmt: skip
    """LR, truth, and what each run makes of a test image of the split, by model: (B, h, w) and (B, H, W).

    Runs that are not finished are trained first; of several seeds the first is taken.

    Raises
    ------
    ValueError
        If there is no such image.
    """
    if not 0 <= image < len(split.test):
        raise ValueError(f"image must be 0 to {len(split.test) - 1} on {split.dataset}, got {image}")
    lr, truth = low_resolution(split.test[image], runs[0].scale)
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(run.model, run)
    images = {name: predict(train(run, device, log, split).model(), lr).numpy() for name, run in first.items()}
    return lr.numpy(), truth.numpy(), images


def region_gains(frame: pd.DataFrame) -> pd.DataFrame:
    """Every network minus bicubic on the same region: columns setting (the model), region, metric, difference.

    LKCA-KD minus LKCA-LR is a setting too: what distillation brings, region by region.
    """
    table = frame.set_index(["reading", "model"])[list(METRICS)]
    pairs = {model: (model, "bicubic") for model in frame["model"].unique() if model != "bicubic"}
    pairs["lkca-kd - lkca-lr"] = ("lkca-kd", "lkca-lr")
    parts = [
        (table.xs(one, level="model") - table.xs(other, level="model")).assign(setting=setting)
        for setting, (one, other) in pairs.items()
    ]
    gains = pd.concat(parts).reset_index(names="region")
    return gains.melt(["setting", "region"], list(METRICS), "metric", "difference")


def mean_gains(gains: pd.DataFrame) -> pd.DataFrame:
    """Mean over regions, standard deviation, half of the 95 % t-interval, in how many it is a gain, and the verdict."""
    columns = ["setting", "metric", "mean", "half_width", "regions", "verdict", "sd", "better_in"]
    return with_verdict(over(gains, "regions"))[columns]
