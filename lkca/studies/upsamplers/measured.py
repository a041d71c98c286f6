"""What `upsamplers` measures beside its runs: truncation, ranks and time of the upsamplers.

Everything is made from finished runs when the study's CSV is, and stands beside it:
    upsamplers_costs.csv       a row a run: rank, parameters and MACs of its upsampler
    upsamplers_truncation.csv  each trained full upsampler cut to rank k: as it stands, and after a short fine-tuning
    upsamplers_time.csv        measured time of each upsampler; of this machine, so never the same twice
"""

import copy
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lkca.data.loaders import find_dataset, load_dataset
from lkca.data.patches import Patches, split_patches
from lkca.data.split import Split
from lkca.measures import rank as ranks
from lkca.measures.cost import cost
from lkca.measures.rank import SHARE
from lkca.measures.resize import resize
from lkca.models import UNTRAINED, build_model, model_options
from lkca.models.folding import fold
from lkca.models.low_rank import truncate
from lkca.models.upsamplers import RANKED, chosen_rank, fitting_rank
from lkca.paths import results_folder, write_text
from lkca.studies.catalogue import study_runs
from lkca.studies.profiles import find_profile
from lkca.studies.turns import take_turns
from lkca.studies.upsamplers.runs import STAND_IN
from lkca.tables import CURVE, EQUAL_PARAMS, FULL
from lkca.training.evaluation import evaluate, mean_quality
from lkca.training.fresh_trainer import FALL, FALLS, FreshPatches
from lkca.training.losses import supervised_loss
from lkca.training.run import Run
from lkca.training.run_folder import load_result

STUDY = "upsamplers"
GROUPS = model_options(STAND_IN)["groups"]  # whose cost the upsamplers share

TUNE_PATCHES, TUNE_EPOCHS, TUNE_BATCH = 128, 4, 8  # of the fine-tuning: a few percent of a training
TUNE_RATE = 0.5  # of the run's first learning rate (of its last one on made scenes without end), falling to zero
TIMED_SIZE, TIMED_ROUNDS = 32, 31  # LR pixels on a side; rounds in which every upsampler is timed once


def collect_upsamplers(profile: str) -> None:
    """Write the three files from the study's runs, all of which must be finished."""
    runs, plan = study_runs(STUDY, profile), find_profile(profile).upsamplers
    full = [run for run in runs if setting_of(run, profile) == FULL]
    split = load_dataset(full[0].dataset, full[0].reading)
    tables = {
        "costs": pd.DataFrame([upsampler_row(run, split.bands) for run in runs if run.model not in UNTRAINED]),
        "truncation": pd.concat([truncation(run, split) for run in full]),
        "time": measured_times(split.bands, full[0].scale, full[0].options["channels"], plan.kinds, plan.spectral_rank),
    }
    for name, table in tables.items():
        write_text(_path(profile, name), table.to_csv(index=False, float_format="%.6g"))


def read_measured(profile: str, name: str) -> pd.DataFrame:
    """One of the three tables: costs, truncation or time.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    """
    path = _path(profile, name)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: `python -m lkca collect {STUDY} --profile {profile}` writes it")
    return pd.read_csv(path)


def setting_of(run: Run, profile: str) -> str:
    """What a run of the study is in its tables: a kind of upsampler, "…, distilled", a model's name, or "curve"."""
    options = run.options
    if run.model != STAND_IN:
        named = {name: name for name in UNTRAINED} | {"lkca": FULL}
        return named.get(run.model) or f"{options['upsampler']}, distilled"
    if options["groups"] == GROUPS and options["rank"] == 0:
        return options["upsampler"]
    if (options["upsampler"], options["rank"]) == ("spectral", find_profile(profile).upsamplers.spectral_rank):
        return EQUAL_PARAMS
    return CURVE


def with_setting(frame: pd.DataFrame, profile: str) -> pd.DataFrame:
    """The study's rows with a column `setting`, and each upsampler's `k`, `upsampler_params_M`, `upsampler_macs_G`."""
    names = {run.name: setting_of(run, profile) for run in study_runs(STUDY, profile)}
    return frame.assign(setting=frame["run"].map(names)).merge(read_measured(profile, "costs"), on="run", how="left")


def upsampler_row(run: Run, bands: int) -> dict[str, object]:
    """Rank and cost of a run's upsampler, the latter as `lkca.cost` counts."""
    options = run.options
    with torch.device("meta"):
        model = build_model(run.model, bands, run.scale, **options)
    kind, channels = options["upsampler"], options["channels"]
    counted = cost(model.upsampler, channels)
    k = chosen_rank(kind, options["rank"], channels, bands * run.scale**2, run.scale, options["groups"])
    share = {"upsampler_params_M": counted.params / 1e6, "upsampler_macs_G": counted.macs / 1e9}
    return {"run": run.name, "k": k if kind in RANKED else None, **share}


def truncation(run: Run, split: Split) -> pd.DataFrame:
    """A trained network whose full upsampler is cut to rank k: a row for each k.

    Columns: run; k of `values` singular values; `share` of their sum that k hold; `error`, relative, of the matrix in
    the Frobenius norm; MPSNR and SAM as it stands (`cut_`), and after the upsampler was fine-tuned (`tuned_`). The last
    row is the full upsampler itself, as two factors: its fine-tuning says what that alone brings. `k90`: how many hold
    90 %. `budget`: the rank that costs as much as LKCA-LR's groups.
    """
    model = load_result(run).model()
    values = ranks.singular_values(ranks.upsampler_matrix(model))
    budget = fitting_rank("svd", run.options["channels"], split.bands * run.scale**2, run.scale, GROUPS)
    k90 = ranks.rank_at(values, SHARE)
    features = Features(model, run, split)
    rows = []
    for k in sorted({*(2**i for i in range(int(math.log2(len(values))) + 1)), budget, k90, len(values)}):
        cut = truncate(model, k)
        row = {"k": k, "share": ranks.cumulative(values)[k - 1], "error": ranks.truncation_error(values)[k]}
        tuned = features.fine_tuned(cut)
        for name, network in (("cut", cut), ("tuned", tuned)):
            quality = mean_quality(evaluate(network, split, run.scale))
            row |= {f"{name}_{metric}": quality[metric] for metric in ("MPSNR", "SAM")}
        rows.append(row)
    about = {"run": run.name, "values": len(values), "k90": k90, "budget": budget}
    return pd.DataFrame(rows).assign(**about)


class Features:
    """What the body of a trained LKCA network makes of some training patches: enough to train its upsampler alone."""

    @torch.no_grad()
    def __init__(self, model: nn.Module, run: Run, split: Split) -> None:
        self.run = run
        self.patches = self._training_patches(split)
        count = min(TUNE_PATCHES, len(self.patches))
        self.chosen = np.linspace(0, len(self.patches) - 1, count).astype(int)
        parts = self.chosen.tolist()
        batches = (parts[i : i + TUNE_BATCH] for i in range(0, count, TUNE_BATCH))
        self.features = torch.cat([model.eval().body(model.head(self._pair(part)[0])) for part in batches])

    def _training_patches(self, split: Split) -> Patches:
        run = self.run
        if run.dataset == "fresh":
            plan = find_dataset(run.dataset).readings[run.reading]
            return FreshPatches(plan, run.patch, TUNE_PATCHES, run.seed).of_epoch(run.epochs)  # none that it has seen
        share = (run.validation, run.validation_share, run.seed)
        return split_patches(split.train, run.patch, run.stride, *share)[0]

    def fine_tuned(self, model: nn.Module) -> nn.Module:
        """A copy of the network, its upsampler trained for a few epochs by the supervised loss, the rest as it was."""
        model, run = copy.deepcopy(model).eval(), self.run
        # So high a first rate as that of `converged` would undo in a few steps what training has settled.
        first = TUNE_RATE * run.learning_rate * (FALL**FALLS if run.dataset == "fresh" else 1)
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
        hr = self.patches.cut(indices)
        return resize(hr, 1 / self.run.scale), hr


@torch.inference_mode()
def measured_times(bands: int, scale: int, channels: int, kinds: Sequence[str], spectral_rank: int = 0) -> pd.DataFrame:
    """Time of an upsampler's forward pass on 32x32 LR pixels, all in one process, by turns in random order.

    spectral_rank : also time the spectral upsampler of this rank, as "spectral, equal params"; 0: do not.
    Columns: setting, milliseconds (median), ratio (median of the ratios to `grouped` in the same round).
    """
    upsamplers = {FULL: {"groups": 1}, **{kind: {"upsampler": kind} for kind in kinds}}
    if spectral_rank:
        upsamplers[EQUAL_PARAMS] = {"upsampler": "spectral", "rank": spectral_rank}
    modules = {
        setting: fold(build_model(STAND_IN, bands, scale, blocks=1, channels=channels, **options).upsampler)
        for setting, options in upsamplers.items()
    }
    features = torch.rand(1, channels, TIMED_SIZE, TIMED_SIZE, generator=torch.Generator().manual_seed(0))
    passes = [partial(module, features) for module in modules.values()]
    turns = take_turns(passes, torch.device("cpu"), TIMED_ROUNDS, order=np.random.default_rng(0))
    times = pd.DataFrame(dict(zip(modules, turns, strict=True)))
    ratios = times.div(times["grouped"], axis=0).median()
    table = {"setting": times.columns, "milliseconds": 1e3 * times.median().to_numpy(), "ratio": ratios.to_numpy()}
    return pd.DataFrame(table)


def _path(profile: str, name: str) -> Path:
    return results_folder() / profile / f"{STUDY}_{name}.csv"
