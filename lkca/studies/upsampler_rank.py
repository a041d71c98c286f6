"""Is the upsampler low rank at several widths and seeds, and more so than other layers?

The rank that holds 90 % of the sum of singular values (Figure 4) says nothing about quality. So the smallest rank that
loses at most 0.02 dB is measured too. Controls: the same layer before training, and the first 1x1 layer of the body.
"""

from collections.abc import Sequence

import pandas as pd

from lkca.checkpoints import load_result
from lkca.rank import SHARE, rank_at, singular_values, upsampler_matrix
from lkca.run import Run
from lkca.studies import Study
from lkca.studies.profile import Profile
from lkca.studies.truncation import truncations
from lkca.studies.upsamplers import GROUPS
from lkca.train import initial_model

MORE_RANKS = (3, 6, 12, 24, 48, 96, 192)  # halfway between the powers of two
TEST_SCENES = 8  # enough to find the rank; each cut is measured on them


def _runs(profile: Profile, section: dict) -> list[Run]:
    runs = [profile.run("lkca", seed, {"channels": width}) for width in section["widths"] for seed in profile.seeds]
    return profile.baselines() + runs


def truncation(_: Profile, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the table of `truncate_and_tune` for every run of LKCA-Net, with a column `channels`."""
    table = truncations(runs, GROUPS, MORE_RANKS, TEST_SCENES)
    return table.assign(channels=table["run"].map({run.name: run.options.get("channels") for run in runs}))


def controls(_: Profile, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the rank that holds 90 % of the sum, for the upsampler and the controls of every run of LKCA-Net.

    Columns: run, channels, seed, layer ("upsampler", "1x1 of the body"), kind ("trained", "untrained"), rank, values
    (how many singular values there are), share (rank / values).
    """
    rows = []
    for run in (run for run in runs if run.model == "lkca"):
        trained = load_result(run).model()
        bands = upsampler_matrix(trained).shape[0] // run.scale**2
        for kind, model in (("trained", trained), ("untrained", initial_model(run, bands))):
            pointwise = model.body[0].project_in.weight.detach().flatten(1)  # of the first block, (C, C)
            for layer, matrix in (("upsampler", upsampler_matrix(model)), ("1x1 of the body", pointwise)):
                values = singular_values(matrix)
                rank = rank_at(values, SHARE)
                about = (run.name, run.options["channels"], run.seed, layer, kind)
                rows.append((*about, rank, len(values), rank / len(values)))
    return pd.DataFrame(rows, columns=["run", "channels", "seed", "layer", "kind", "rank", "values", "share"])


STUDY = Study(
    "upsampler_rank",
    "Is the upsampler low rank at several widths and seeds, and more so than other layers?",
    _runs,
    notebook="verdicts",
    files={"truncation": truncation, "controls": controls},
)
