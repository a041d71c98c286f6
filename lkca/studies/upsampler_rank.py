"""Is the upsampler low rank, at several widths and seeds, and more so than a layer that nobody calls low rank?

The rank that holds 90 % of the sum of singular values (Figure 4) says nothing about quality, so the smallest rank that
loses at most 0.02 dB stands beside it. Controls: the same layer before training, and the first 1x1 layer of the body.
"""

from dataclasses import replace
from functools import cache

import pandas as pd
import torch
from torch import Tensor, nn

from lkca.checkpoints import load_result
from lkca.data.datasets import load_dataset
from lkca.data.split import Split
from lkca.rank import SHARE, rank_at, singular_values, upsampler_matrix
from lkca.run import Run
from lkca.studies import Study
from lkca.studies.collect import finished
from lkca.studies.profile import Profile
from lkca.studies.truncation import truncate_and_tune
from lkca.studies.upsamplers import GROUPS
from lkca.train import initial_model

MORE_RANKS = (3, 6, 12, 24, 48, 96, 192)  # between the powers of two
TEST_SCENES = 8  # that each cut is measured on: the rank is searched, not the last hundredth of a dB


def _runs(profile: Profile, section: dict) -> list[Run]:
    runs = [profile.run("lkca", seed, {"channels": width}) for width in section["widths"] for seed in profile.seeds]
    return profile.baselines() + runs


def _finished(profile: Profile) -> list[Run]:
    return [run for run in STUDY.runs_at(profile) if run.model == "lkca" and finished(run)]


@cache
def _few_test_scenes(dataset: str, variant: str) -> Split:
    split = load_dataset(dataset, variant)
    return replace(split, test=split.test[:TEST_SCENES])


def truncation(profile: Profile) -> pd.DataFrame:
    """Return the table of `truncate_and_tune` for every finished run, with a column `channels`."""
    tables = []
    for run in _finished(profile):
        split = _few_test_scenes(run.dataset, run.variant)
        tables.append(truncate_and_tune(run, split, GROUPS, MORE_RANKS).assign(channels=run.options["channels"]))
    return pd.concat(tables) if tables else pd.DataFrame(columns=["run"])


def controls(profile: Profile) -> pd.DataFrame:
    """Return the rank that holds 90 % of the sum, of the upsampler and of the controls, for every finished run.

    Columns: run, channels, seed, layer ("upsampler", "1x1 of the body"), kind ("trained", "untrained"), rank, values
    (how many singular values there are), share (rank / values).
    """
    rows = []
    for run in _finished(profile):
        trained = load_result(run).model()
        bands = upsampler_matrix(trained).shape[0] // run.scale**2
        for kind, model in (("trained", trained), ("untrained", initial_model(run, bands))):
            for layer, matrix in (("upsampler", upsampler_matrix(model)), ("1x1 of the body", _pointwise(model))):
                values = singular_values(matrix)
                rank = rank_at(values, SHARE)
                about = (run.name, run.options["channels"], run.seed, layer, kind)
                rows.append((*about, rank, len(values), rank / len(values)))
    return pd.DataFrame(rows, columns=["run", "channels", "seed", "layer", "kind", "rank", "values", "share"])


def _pointwise(model: nn.Module) -> Tensor:
    """Return the matrix of the first 1x1 convolution of the body, (C, C)."""
    with torch.no_grad():
        return model.body[0].project_in.weight.flatten(1)


STUDY = Study(
    "upsampler_rank",
    "Is the upsampler low rank at several widths and seeds, and more so than other layers?",
    _runs,
    notebook="verdicts",
    files={"truncation": truncation, "controls": controls},
)
