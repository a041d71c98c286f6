"""Is the upsampling layer low rank? Singular values of its matrix: trained, untrained, random, and in groups.

The matrix is the weight (B·r², C/g, 3, 3) of the convolution before PixelShuffle, reshaped to (B·r², 9C); one in groups
is unfolded to the block-diagonal matrix that it is. The paper's curve (Figure 4) is the cumulative sum of the singular
values over their total.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lkca.measures.rank import (
    SHARES,
    diagonal_blocks,
    error_of_blocks,
    numerical_rank,
    of_kind,
    rank_at,
    rank_of_equal_size,
    singular_values,
    truncation_error,
    upsampler_matrix,
)
from lkca.models import build_model
from lkca.paths import Log, results_folder, write_text
from lkca.studies.catalogue import study_runs
from lkca.studies.profiles import find_profile
from lkca.studies.rows_of_runs import read_or_train
from lkca.training.run import Run
from lkca.training.run_folder import load_result

KINDS = {
    "trained": "trained",
    "untrained": "untrained: where that training began",
    "random": "random: a Gaussian matrix of the same shape",
    "blocks": "trained, only the diagonal blocks kept",
    "grouped": "trained in groups (LKCA-LR)",
}
AFTER = "after {} epochs"  # a kind as well: the matrix after another number of epochs


def upsampler_matrices(run: Run, groups: int, others: Sequence[int] = ()) -> dict[str, Tensor]:
    """The matrices to be looked at of a finished run's upsampler, by kind: see `KINDS` and `AFTER`.

    groups : number of the diagonal blocks that are cut out of a network without groups. others : numbers of epochs of
    runs that are looked at beside the one in question.
    """
    result = load_result(run)
    matrix = upsampler_matrix(result.model())
    if run.options["groups"] > 1:
        return {"grouped": matrix}
    if run.epochs in others:
        return {AFTER.format(len(result.history)): matrix}
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
    runs, others = study_runs("upsampler_svd", profile), find_profile(profile).other_epochs
    groups = max(run.options["groups"] for run in runs)
    frames = []
    for run in runs:
        for kind, matrix in upsampler_matrices(run, groups, others).items():
            values = singular_values(matrix)
            about = {"dataset": run.dataset, "run": run.name, "kind": kind}
            shape = {"rows": len(matrix), "columns": len(matrix.T), "index": np.arange(1, len(values) + 1)}
            frames.append(pd.DataFrame({**about, **shape, "value": values}))
    write_text(_path(profile), pd.concat(frames).to_csv(index=False, float_format="%.6g"))
    return pd.read_csv(_path(profile))


def study_singular_values(profile: str, device: str = "auto", log: Log = print) -> pd.DataFrame:
    """The singular values of the study: read where the CSV holds exactly its runs, else missing runs are trained."""
    runs = study_runs("upsampler_svd", profile)
    return read_or_train(_path(profile), runs, lambda: collect_singular_values(profile), device, log)


def rank_table(values: pd.DataFrame) -> pd.DataFrame:
    """A row for each dataset and kind: singular values, numerical rank, and how many hold 90, 95, 99 % of the sum."""
    rows = []
    for (dataset, kind), group in values.groupby(["dataset", "kind"], sort=False):
        ordered = group["value"].to_numpy()
        ranks = {f"rank_{share:.0%}".replace("%", ""): rank_at(ordered, share) for share in SHARES}
        count = len(ordered)
        rows.append({"dataset": dataset, "kind": kind, "values": count, "rank": numerical_rank(ordered), **ranks})
    return pd.DataFrame(rows)


def equal_size_table(values: pd.DataFrame, groups: int) -> pd.DataFrame:
    """What is left of the trained matrix at the number of weights that groups have: a row for each dataset.

    Columns: the rank of two thin matrices of that size, their relative Frobenius error at best, and the error where
    only the diagonal blocks are kept.
    """
    rows = []
    for (dataset,), group in values[values["kind"] == "trained"].groupby(["dataset"], sort=False):
        trained, blocks = group["value"].to_numpy(), of_kind(values, dataset, "blocks")
        rank = rank_of_equal_size(group["rows"].iloc[0], group["columns"].iloc[0], groups)
        errors = {"error_low_rank": truncation_error(trained)[rank], "error_blocks": error_of_blocks(trained, blocks)}
        rows.append({"dataset": dataset, "weights of groups": groups, "rank": rank, **errors})
    return pd.DataFrame(rows)


def _path(profile: str) -> Path:
    return results_folder() / profile / "upsampler_svd_values.csv"
