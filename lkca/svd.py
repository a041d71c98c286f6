"""Is the upsampling layer low rank? Singular values of its matrix: trained, untrained, random, and in groups.

The matrix is the weight (B·r², C/g, 3, 3) of the convolution before PixelShuffle, reshaped to (B·r², 9C); one in groups
is unfolded to the block-diagonal matrix that it is. The paper's curve (Figure 4) is the cumulative sum of the singular
values over their total.
"""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lkca.models import build_model
from lkca.paths import results_folder, write_text
from lkca.runs import Run
from lkca.studies import study_runs
from lkca.training import Log, load_result, train

SHARES = (0.90, 0.95, 0.99)
PAPER_RANKS = {"chikusei": 60, "houston2018": 60, "pavia_centre": 130}  # of 1152, that hold 90 %: "about", in Figure 4
KINDS = {
    "trained": "trained",
    "untrained": "untrained: where that training began",
    "random": "random: a Gaussian matrix of the same shape",
    "blocks": "trained, only the diagonal blocks kept",
    "grouped": "trained in groups (LKCA-LR)",
}

Values = NDArray[np.float64]  # (n,) singular values, descending


def unfolded(weight: Tensor, groups: int = 1) -> Tensor:
    """Weight (O, C/g, k, k) of a convolution as the matrix (O, C·k²) that it applies to every k x k patch.

    Columns are ordered channel, row, column, as `torch.nn.functional.unfold` orders a patch.
    """
    return torch.block_diag(*weight.flatten(1).chunk(groups))


def upsampler_matrix(model: nn.Module) -> Tensor:
    """Matrix (B·r², 9C) of an LKCA network's upsampling convolution, weight normalisation folded in; float64."""
    convolution = model.upsampler[0]
    return unfolded(convolution.weight.detach().double().cpu(), convolution.groups)


def diagonal_blocks(matrix: Tensor, groups: int) -> Tensor:
    """The same matrix, all zero outside its `groups` diagonal blocks: what is left of a layer if groups are cut out."""
    rows, columns = matrix.shape[0] // groups, matrix.shape[1] // groups
    return matrix * torch.block_diag(*[torch.ones(rows, columns, dtype=matrix.dtype)] * groups)


def singular_values(matrix: Tensor) -> Values:
    """Singular values, descending."""
    return torch.linalg.svdvals(matrix).numpy()


def cumulative(values: Values) -> Values:
    """The paper's curve: share of the sum of all singular values that the k largest hold, k = 1 … n."""
    return np.cumsum(values) / np.sum(values)


def rank_at(values: Values, share: float) -> int:
    """How many of the largest singular values hold `share` of their sum."""
    return int(np.searchsorted(cumulative(values), share - 1e-12) + 1)


def numerical_rank(values: Values) -> int:
    """How many singular values single precision, in which the weights are kept, tells from zero."""
    return int((values > values[0] * len(values) * np.finfo(np.float32).eps).sum())


def truncation_error(values: Values) -> Values:
    """Relative Frobenius error of the best matrix of rank k, k = 0 … n (Eckart and Young)."""
    left = np.append(np.cumsum(values[::-1] ** 2)[::-1], 0.0)
    return np.sqrt(left / left[0])


def error_of_blocks(trained: Values, blocks: Values) -> float:
    """Relative Frobenius error of a matrix of which only the diagonal blocks are kept, from the values of both."""
    return float(np.sqrt(max(0.0, 1 - np.sum(blocks**2) / np.sum(trained**2))))


def rank_of_equal_size(rows: int, columns: int, groups: int) -> int:
    """Rank of two thin matrices that have, together, as many weights as a (rows, columns) layer in groups."""
    return math.floor(rows * columns / groups / (rows + columns))


def upsampler_matrices(run: Run, groups: int) -> dict[str, Tensor]:
    """The matrices to be looked at of a finished run's upsampler, by kind: see `KINDS`.

    groups : of the diagonal blocks that are cut out of a network without groups.
    """
    matrix = upsampler_matrix(load_result(run).model())
    if run.options["groups"] > 1:
        return {"grouped": matrix}
    torch.manual_seed(run.seed)  # as the training did
    untrained = build_model(run.model, len(matrix) // run.scale**2, run.scale, **run.options)
    random = torch.randn(matrix.shape, dtype=matrix.dtype, generator=torch.Generator().manual_seed(run.seed))
    return {
        "trained": matrix,
        "untrained": upsampler_matrix(untrained),
        "random": random,
        "blocks": diagonal_blocks(matrix, groups),
    }


def collect_singular_values(profile: str) -> pd.DataFrame:
    """Write results/`profile`/upsampler_svd_values.csv from the runs of that study, all of which must be finished.

    Columns: dataset, run, kind, rows and columns of the matrix, index (from 1), value.
    """
    runs = study_runs("upsampler_svd", profile)
    groups = max(run.options["groups"] for run in runs)
    frames = []
    for run in runs:
        for kind, matrix in upsampler_matrices(run, groups).items():
            values = singular_values(matrix)
            about = {"dataset": run.dataset, "run": run.name, "kind": kind}
            shape = {"rows": len(matrix), "columns": len(matrix.T), "index": np.arange(1, len(values) + 1)}
            frames.append(pd.DataFrame({**about, **shape, "value": values}))
    write_text(_path(profile), pd.concat(frames).to_csv(index=False, float_format="%.6g"))
    return pd.read_csv(_path(profile))


def study_singular_values(profile: str, device: str = "auto", log: Log = print) -> pd.DataFrame:
    """The singular values of the study: read where the CSV holds exactly its runs, else missing runs are trained."""
    runs = study_runs("upsampler_svd", profile)
    if _path(profile).is_file():
        frame = pd.read_csv(_path(profile))
        if set(frame["run"]) == {run.name for run in runs}:
            return frame
        log(f"{_path(profile).name} holds other runs than the study now has: doing what is missing")
    for run in runs:
        train(run, device, log)
    return collect_singular_values(profile)


def rank_table(values: pd.DataFrame) -> pd.DataFrame:
    """A row for each dataset and kind: singular values, numerical rank, and how many hold 90, 95, 99 % of the sum."""
    rows = []
    for (dataset, kind), group in values.groupby(["dataset", "kind"], sort=False):
        ordered = group["value"].to_numpy()
        ranks = {f"rank_{share:.0%}".replace("%", ""): rank_at(ordered, share) for share in SHARES}
        count = len(ordered)
        rows.append({"dataset": dataset, "kind": kind, "values": count, "rank": numerical_rank(ordered), **ranks})
    return pd.DataFrame(rows)


def in_words(values: pd.DataFrame, dataset: str, groups: int) -> list[str]:
    """What the singular values of one dataset say, as sentences."""
    trained, untrained, random, grouped = (
        of_kind(values, dataset, kind) for kind in ("trained", "untrained", "random", "grouped")
    )
    share = SHARES[0]
    ranks = [rank_at(each, share) for each in (trained, untrained, random)]
    n = len(trained)
    drop = 1 - ranks[0] / ranks[1]
    shape = values.query("dataset == @dataset and kind == 'trained'").iloc[0]
    equal = rank_of_equal_size(shape["rows"], shape["columns"], groups)
    rank = numerical_rank(grouped)
    full = "full rank" if rank == len(grouped) else "less than full rank"
    return [
        f"{dataset}: {ranks[0]} of {n} singular values ({ranks[0] / n:.1%}) hold {share:.0%} of their sum in the "
        f"trained layer, {ranks[1]} in the untrained one, {ranks[2]} in a random matrix: training "
        + (f"took {drop:.0%} off." if drop > 0 else "took nothing off."),
        f"{dataset}: the grouped convolution, unfolded, has rank {rank} of {len(grouped)}: {full}.",
        f"{dataset}: with the weights of {groups} groups, rank {equal} leaves a relative error of "
        f"{truncation_error(trained)[equal]:.3f}; the diagonal blocks alone leave "
        f"{error_of_blocks(trained, of_kind(values, dataset, 'blocks')):.3f}.",
    ]


def of_kind(values: pd.DataFrame, dataset: str, kind: str) -> Values:
    """Singular values of one matrix out of the study's frame."""
    return values.query("dataset == @dataset and kind == @kind")["value"].to_numpy()


def _path(profile: str) -> Path:
    return results_folder() / profile / "upsampler_svd_values.csv"
