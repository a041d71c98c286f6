"""Cut a trained upsampler to rank k, and fine-tune it for a few epochs."""

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lkca.checkpoints import load_result
from lkca.data.datasets import find_dataset
from lkca.data.loaders import load_dataset
from lkca.data.patches import PatchStream, split_patches
from lkca.data.split import Split
from lkca.evaluate import evaluate, mean_quality
from lkca.fast import accelerate
from lkca.losses import supervised_loss
from lkca.models.low_rank import truncate
from lkca.models.upsamplers import choose_rank
from lkca.rank import SHARE, cumulative, rank_at, singular_values, truncation_error, upsampler_matrix
from lkca.resize import resize
from lkca.run import Run
from lkca.trainer import PlateauSchedule

TUNE_PATCHES, TUNE_EPOCHS, TUNE_BATCH = 128, 4, 8  # the fine-tuning costs a few percent of a training
TUNE_RATE = 0.5  # times the run's first learning rate (on a synthetic stream: its last), falling to zero


def truncations(
    runs: Sequence[Run], groups: int, more_ranks: Sequence[int] = (), test_scenes: int | None = None
) -> pd.DataFrame:
    """Return the table of `truncate_and_tune` for every run of LKCA-Net.

    test_scenes : how many test scenes each cut is measured on; by default all.
    """
    load, tables = cache(load_dataset), []
    for run in (run for run in runs if run.model == "lkca"):
        split = load(run.dataset, run.variant)
        tables.append(truncate_and_tune(run, replace(split, test=split.test[:test_scenes]), groups, more_ranks))
    return pd.concat(tables) if tables else pd.DataFrame(columns=["run"])


def truncate_and_tune(run: Run, split: Split, groups: int, more_ranks: Sequence[int] = ()) -> pd.DataFrame:
    """Cut the full upsampler of a finished run to rank k, as two factors. A row for each k; the last has full rank.

    more_ranks : k to try besides the powers of two, `budget`, `k90` and the full rank.

    Columns: run; k; values (number of singular values); share (of their sum, in the k largest); error (relative
    Frobenius error of the matrix); MPSNR and SAM after the cut (`cut_`), and after fine-tuning only the upsampler
    (`tuned_`); k90 (how many values hold 90 % of the sum); budget (the highest rank that costs no more than `groups`
    groups).
    """
    model = accelerate(load_result(run).model())
    values = singular_values(upsampler_matrix(model))
    budget = choose_rank("svd", 0, run.options["channels"], split.bands * run.scale**2, run.scale, groups)
    k90 = rank_at(values, SHARE)
    tuning = _FineTuning(model, run, split)
    rows = []
    powers = {2**i for i in range(int(math.log2(len(values))) + 1)}
    more = {k for k in more_ranks if k < len(values)}
    for k in sorted({*powers, *more, budget, k90, len(values)}):
        cut = truncate(model, k)
        row = {"k": k, "share": cumulative(values)[k - 1], "error": truncation_error(values)[k]}
        for name, network in (("cut", cut), ("tuned", tuning.tuned(cut))):
            quality = mean_quality(evaluate(network, split, run.scale)[0])
            row |= {f"{name}_{metric}": quality[metric] for metric in ("MPSNR", "SAM")}
        rows.append(row)
    return pd.DataFrame(rows).assign(run=run.name, values=len(values), k90=k90, budget=budget)


class _FineTuning:
    """Fine-tune only the upsampler, on features that the trained body computed once from some training patches."""

    @torch.no_grad()
    def __init__(self, model: nn.Module, run: Run, split: Split) -> None:
        plan = find_dataset(run.dataset).variants[run.variant]
        self.run, self.stream = run, not split.train
        if self.stream:  # of the epoch after the run's last
            self.patches = PatchStream(plan, run.patch, TUNE_PATCHES, run.seed).of_epoch(run.epochs)
        else:
            share = (run.validation, run.validation_share, run.seed)
            self.patches = split_patches(split.train, run.patch, run.stride, *share)[0]
        count = min(TUNE_PATCHES, len(self.patches))
        self.chosen = np.linspace(0, len(self.patches) - 1, count).astype(int)
        batches = (self.chosen[start : start + TUNE_BATCH].tolist() for start in range(0, count, TUNE_BATCH))
        self.features = torch.cat([model.eval().body(model.head(self._pair(batch)[0])) for batch in batches])

    def tuned(self, model: nn.Module) -> nn.Module:
        """Return a copy of the network after a few epochs of training its upsampler with the supervised loss."""
        model, run = copy.deepcopy(model).eval(), self.run
        # On a stream the first rate is high, and would undo the end of the training in a few steps.
        settled = PlateauSchedule.FACTOR**PlateauSchedule.FALLS if self.stream else 1
        first = TUNE_RATE * run.learning_rate * settled
        optimizer = torch.optim.Adam(model.upsampler.parameters(), lr=first)
        generator = np.random.default_rng(run.seed)
        for epoch in range(TUNE_EPOCHS):
            optimizer.param_groups[0]["lr"] = first * (1 - epoch / TUNE_EPOCHS)
            order = generator.permutation(len(self.chosen))
            for start in range(0, len(order), TUNE_BATCH):
                part = order[start : start + TUNE_BATCH]
                lr, hr = self._pair(self.chosen[part])
                output = model.upsampler(self.features[part]) + resize(lr, run.scale)
                optimizer.zero_grad(set_to_none=True)
                supervised_loss(output, hr, run.sam, run.gradient).backward()
                optimizer.step()
        return model

    def _pair(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return LR and HR patches, (n, B, h, w) and (n, B, r·h, r·w)."""
        hr = self.patches.cut(indices)
        return resize(hr, 1 / self.run.scale), hr
