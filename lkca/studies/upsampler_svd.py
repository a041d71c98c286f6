"""Is the upsampling layer low rank, and because it was trained? (Figures 4 and 5)

The layer's matrix is the weight (B·r², C/g, 3, 3) of the convolution before PixelShuffle, reshaped to (B·r², 9C); a
grouped weight is written out as the block-diagonal matrix that it is. The paper's curve (Figure 4) is the cumulative
sum of the singular values over their total.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lkca.checkpoints import load_result
from lkca.models import build_model
from lkca.rank import diagonal_blocks, singular_values, upsampler_matrix
from lkca.run import Run
from lkca.studies import Study
from lkca.studies.profile import Profile

KINDS = {
    "trained": "trained",
    "untrained": "untrained: where that training began",
    "random": "random: a Gaussian matrix of the same shape",
    "blocks": "trained, only the diagonal blocks kept",
    "grouped": "trained in groups (LKCA-LR)",
}  # and "after N epochs" for shorter and longer trainings


def _runs(profile: Profile, section: dict) -> list[Run]:
    """LKCA-Net and LKCA-LR, one seed; LKCA-Net also after shorter and longer trainings."""
    runs = [profile.run(model, dataset=name) for name in section["datasets"] for model in ("lkca", "lkca-lr")]
    return runs + [
        profile.run("lkca", dataset=name, epochs=epochs)
        for name in section["datasets"]
        for epochs in section.get("other_epochs", ())
    ]


def values(profile: Profile) -> pd.DataFrame:
    """Return all singular values: dataset, run, kind, rows and columns of the matrix, index (from 1), value."""
    runs = STUDY.runs_at(profile)
    groups = max(run.options["groups"] for run in runs)
    others = profile.section("upsampler_svd").get("other_epochs", ())
    frames = []
    for run in runs:
        for kind, matrix in matrices(run, groups, run.epochs in others).items():
            found = singular_values(matrix)
            about = {"dataset": run.dataset, "run": run.name, "kind": kind}
            shape = {"rows": len(matrix), "columns": len(matrix.T), "index": np.arange(1, len(found) + 1)}
            frames.append(pd.DataFrame({**about, **shape, "value": found}))
    return pd.concat(frames)


STUDY = Study(
    "upsampler_svd",
    "Is the upsampler low rank, and because it was trained? (Figures 4, 5)",
    _runs,
    files={"values": values},
)


def matrices(run: Run, groups: int, other_length: bool = False) -> dict[str, Tensor]:
    """Return the matrices of a finished run's upsampler to look at, by kind.

    groups : number of diagonal blocks that are cut out of a network without groups. other_length : the run is a shorter
    or longer training than the one in question.
    """
    result = load_result(run)
    matrix = upsampler_matrix(result.model())
    if run.options["groups"] > 1:
        return {"grouped": matrix}
    if other_length:
        return {f"after {len(result.history)} epochs": matrix}
    torch.manual_seed(run.seed)  # as the training did
    untrained = build_model(run.model, len(matrix) // run.scale**2, run.scale, **run.options)
    random = torch.randn(matrix.shape, dtype=matrix.dtype, generator=torch.Generator().manual_seed(run.seed))
    return {
        "trained": matrix,
        "untrained": upsampler_matrix(untrained),
        "random": random,
        "blocks": diagonal_blocks(matrix, groups),
    }
