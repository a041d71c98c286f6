"""Is the upsampling layer low rank, and does training make it so? (Figures 4 and 5)

The layer's matrix is the weight (B·r², C/g, 3, 3) of the convolution before PixelShuffle, reshaped to (B·r², 9C/g) and,
for g groups, written out as a block-diagonal matrix (B·r², 9C). The paper's curve (Figure 4) is the cumulative
sum of the singular values over their total.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from lkca.checkpoints import load_result
from lkca.rank import diagonal_blocks, singular_values, upsampler_matrix
from lkca.run import Run
from lkca.studies import Study
from lkca.studies.profile import Profile
from lkca.train import initial_model

KINDS = {
    "trained": "trained",
    "untrained": "untrained: where that training began",
    "random": "random: a Gaussian matrix of the same shape",
    "blocks": "trained, only the diagonal blocks kept",
    "grouped": "trained in groups (LKCA-LR)",
}  # and "after N epochs" for shorter and longer trainings


def _runs(profile: Profile, section: dict) -> list[Run]:
    """Return LKCA-Net and LKCA-LR with one seed, and LKCA-Net after shorter and longer training."""
    runs = [profile.run(model, dataset=name) for name in section["datasets"] for model in ("lkca", "lkca-lr")]
    return runs + [
        profile.run("lkca", dataset=name, epochs=epochs)
        for name in section["datasets"]
        for epochs in section.get("other_epochs", ())
    ]


def values(profile: Profile, runs: Sequence[Run]) -> pd.DataFrame:
    """Return all singular values: dataset, run, kind, rows and columns (of the matrix), index (from 1), value."""
    groups = profile.run("lkca-lr").options["groups"]
    other_epochs = profile.section("upsampler_svd").get("other_epochs", ())
    frames = []
    for run in runs:
        result = load_result(run)
        matrix = upsampler_matrix(result.model())
        if run.options["groups"] > 1:
            kinds = {"grouped": matrix}
        elif run.epochs in other_epochs:
            kinds = {f"after {len(result.history)} epochs": matrix}
        else:
            generator = torch.Generator().manual_seed(run.seed)
            kinds = {
                "trained": matrix,
                "untrained": upsampler_matrix(initial_model(run, len(matrix) // run.scale**2)),
                "random": torch.randn(matrix.shape, dtype=matrix.dtype, generator=generator),
                "blocks": diagonal_blocks(matrix, groups),
            }
        for kind, shown in kinds.items():
            found = singular_values(shown)
            about = {"dataset": run.dataset, "run": run.name, "kind": kind}
            shape = {"rows": len(shown), "columns": len(shown.T), "index": np.arange(1, len(found) + 1)}
            frames.append(pd.DataFrame({**about, **shape, "value": found}))
    return pd.concat(frames)


STUDY = Study(
    "upsampler_svd",
    "Is the upsampler low rank, and does training make it so? (Figures 4, 5)",
    _runs,
    files={"values": values},
)
