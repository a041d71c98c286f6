"""Is the grouped convolution the right way to make the upsampler cheap, in LKCA-Net and in other networks?

Besides its table, the study `upsamplers` writes
    upsamplers_costs.csv       a row per run: rank, parameters and MACs of its upsampler
    upsamplers_truncation.csv  each trained full upsampler cut to rank k: as it stands, and after a short fine-tuning
    upsamplers_time.csv        measured time of each upsampler, so never the same twice
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch

from lkca.cost import cost
from lkca.data.loaders import load_dataset
from lkca.fast import accelerate, fold
from lkca.metrics import METRICS
from lkca.models import BASELINES, build_model, model_options
from lkca.models.upsamplers import RANKED, choose_rank
from lkca.paper.evidence import difference
from lkca.run import Run
from lkca.studies import Study
from lkca.studies.collect import PROJECTED
from lkca.studies.intervals import mean_differences, paired, with_verdict
from lkca.studies.profile import Profile, load_profile
from lkca.studies.speed import take_turns
from lkca.studies.tables import over_seeds, read_file
from lkca.studies.truncation import truncations

STAND_IN = "lkca-lr"  # the model whose upsampler is replaced by others of the same cost
GROUPS = model_options(STAND_IN)["groups"]  # they determine that cost
FULL, CURVE, EQUAL_PARAMS, DISTILLED = "full", "curve", "spectral, equal params", ", distilled"  # of settings
TIMED_SIZE, TIMED_ROUNDS = 32, 31  # LR pixels on a side; rounds in which every upsampler is timed once


def _runs(profile: Profile, section: dict) -> list[Run]:
    """Return baselines, the full upsampler, every kind at LKCA-LR's cost, some distilled, and points of cost curves."""
    kinds = [{"upsampler": kind} for kind in section["kinds"]]
    kinds += [{"upsampler": "spectral", "rank": section["spectral_rank"]}]
    curves = [{"upsampler": kind, "groups": g} for kind in ("grouped", "svd", "spectral") for g in section["groups"]]
    curves += [{"upsampler": kind, "rank": rank} for kind, ranks in section["ranks"].items() for rank in ranks]
    runs = profile.baselines() + [profile.run("lkca", seed) for seed in profile.seeds]
    runs += [profile.run(STAND_IN, seed, options) for options in kinds for seed in profile.seeds]
    runs += [
        profile.run("lkca-kd", seed, {"upsampler": kind}) for kind in section["distilled"] for seed in profile.seeds
    ]
    return runs + [profile.run(STAND_IN, options=options) for options in curves]


def _runs_elsewhere(profile: Profile, section: dict) -> list[Run]:
    """Return other networks as published, with the grouped upsampler, and with the profile's choice of upsampler."""
    return profile.baselines() + [
        profile.run(network, seed, {"upsampler": kind})
        for network, best in section["networks"].items()
        for kind in ("own", "grouped", best)
        for seed in profile.seeds_of(network)
    ]


def costs(_: Profile, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the cost of each run's upsampler: run, k (its rank, if any), upsampler_params_M, upsampler_macs_G."""
    rows, bands = [], load_dataset(runs[0].dataset, runs[0].variant).bands
    for run in (run for run in runs if run.model not in BASELINES):
        with torch.device("meta"):
            model, options = build_model(run.model, bands, run.scale, **run.options), run.options
        kind, channels = options["upsampler"], options["channels"]
        k = choose_rank(kind, options["rank"], channels, bands * run.scale**2, run.scale, options["groups"])
        counted = cost(model.upsampler, channels)
        share = {"upsampler_params_M": counted.params / 1e6, "upsampler_macs_G": counted.macs / 1e9}
        rows.append({"run": run.name, "k": k if kind in RANKED else None, **share})
    return pd.DataFrame(rows)


def truncation(_: Profile, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the table of `truncate_and_tune` for the full upsampler of every seed."""
    return truncations(runs, GROUPS)


@torch.inference_mode()
def time(profile: Profile, _: Sequence[Run]) -> pd.DataFrame:
    """Time the forward pass of every upsampler on 32x32 LR pixels, in one process, taking turns in random order.

    Columns: setting, milliseconds (median), ratio (median of the ratios to `grouped` in the same round).
    """
    section, run = profile.section("upsamplers"), profile.run("lkca")
    options = {FULL: {"groups": 1}, **{kind: {"upsampler": kind} for kind in section["kinds"]}}
    options[EQUAL_PARAMS] = {"upsampler": "spectral", "rank": section["spectral_rank"]}
    bands, channels = load_dataset(run.dataset, run.variant).bands, run.options["channels"]
    modules = {
        setting: fold(
            accelerate(build_model(STAND_IN, bands, run.scale, blocks=1, channels=channels, **each)).upsampler
        )
        for setting, each in options.items()
    }
    features = torch.rand(1, channels, TIMED_SIZE, TIMED_SIZE, generator=torch.Generator().manual_seed(0))
    passes = {setting: partial(module, features) for setting, module in modules.items()}
    times = pd.DataFrame(take_turns(passes, torch.device("cpu"), TIMED_ROUNDS, order=np.random.default_rng(0)))
    ratios = times.div(times["grouped"], axis=0).median()
    table = {"setting": times.columns, "milliseconds": 1e3 * times.median().to_numpy(), "ratio": ratios.to_numpy()}
    return pd.DataFrame(table)


STUDY = Study(
    "upsamplers",
    "Is the grouped convolution the right way to make the upsampler cheap?",
    _runs,
    files={"costs": costs, "truncation": truncation, "time": time},
    alone=True,
)
ELSEWHERE = Study(
    "upsamplers_elsewhere",
    "Does a low-rank upsampler fit other networks?",
    _runs_elsewhere,
    notebook="upsamplers",
    comparison=lambda run: (run.model, run.seed),
)


def with_setting(frame: pd.DataFrame, profile: str) -> pd.DataFrame:
    """Add to the table of `upsamplers` a column `setting`, and the columns of upsamplers_costs.csv.

    A setting is a baseline, FULL, a kind of upsampler, EQUAL_PARAMS, a kind + DISTILLED, or CURVE.
    """
    equal = load_profile(profile).section("upsamplers")["spectral_rank"]

    def setting(row: pd.Series) -> str:
        if row["model"] != STAND_IN:
            named = {"lkca": FULL, "lkca-kd": f"{row['upsampler']}{DISTILLED}"}
            return named.get(row["model"], row["model"])
        if (row["groups"], row["rank"]) == (GROUPS, 0):
            return row["upsampler"]
        return EQUAL_PARAMS if (row["upsampler"], row["rank"]) == ("spectral", equal) else CURVE

    costs = read_file("upsamplers", "costs", profile)
    return frame.assign(setting=frame.apply(setting, axis=1)).merge(costs, on="run", how="left")


def upsamplers_table(frame: pd.DataFrame, times: pd.DataFrame) -> pd.DataFrame:
    """Return a row per upsampler: its rank, the network's cost and quality, its cost and time relative to `grouped`.

    frame : from `with_setting`. times : upsamplers_time.csv; a distilled upsampler takes as long as one that is not.
    """
    chosen = frame[~frame["setting"].isin([*BASELINES, CURVE])]
    table = over_seeds(chosen, ["setting"])
    own = chosen.groupby("setting", sort=False)[["k", "upsampler_params_M", "upsampler_macs_G"]].first()
    table.insert(1, "k", own["k"].astype("Int64").array)
    for name, column in (("upsampler_params", "upsampler_params_M"), ("upsampler_macs", "upsampler_macs_G")):
        table[name] = (own[column] / own.loc["grouped", column]).to_numpy()
    ratio = times.set_index("setting")["ratio"]
    return table.assign(upsampler_time=table["setting"].str.removesuffix(DISTILLED).map(ratio))


def differences_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return differences in MPSNR (dB), paired by seed, with interval and verdict; frame : from `with_setting`.

    Each low-rank upsampler minus the full one, each kind minus the grouped one, and each distilled upsampler minus the
    same one without a teacher. Columns: setting, against, mean, half_width, seeds, verdict.
    """
    names = [name for name in frame["setting"].unique() if name not in (*BASELINES, CURVE)]
    distilled = [name for name in names if name.endswith(DISTILLED)]
    pairs = [(name, FULL) for name in names if name in ("svd", "spectral", EQUAL_PARAMS)]
    pairs += [(name, "grouped") for name in names if name not in (FULL, "grouped", EQUAL_PARAMS, *distilled)]
    pairs += [(name, name.removesuffix(DISTILLED)) for name in distilled]
    tables = [
        mean_differences(paired(frame, against, "seed", [name], "setting"), "seeds").assign(against=against)
        for name, against in pairs
    ]
    table = with_verdict(pd.concat(tables).query("metric == 'MPSNR'"))
    return table[["setting", "against", "mean", "half_width", "seeds", "verdict"]].reset_index(drop=True)


def elsewhere_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each network and upsampler of `upsamplers_elsewhere`: cost, savings, mean quality over `seeds`.

    over_bicubic_dB : MPSNR minus bicubic's. difference_dB : MPSNR minus that with the network's own upsampler, paired
    by seed, with half_width of its 95 % t-interval.
    """
    table = over_seeds(frame[~frame["model"].isin(BASELINES)], ["model", "upsampler"])
    own = table[table["upsampler"] == "own"].set_index("model")
    for saved, column in (("params_saved", "params_M"), ("macs_saved", "macs_G")):
        table[saved] = 1 - table[column] / table["model"].map(own[column])
    table["over_bicubic_dB"] = table["MPSNR"] - frame.loc[frame["model"] == "bicubic", "MPSNR"].item()
    by_seed = frame.pivot_table(index=["model", "seed"], columns="upsampler", values="MPSNR")
    pairs = zip(table["model"], table["upsampler"], strict=True)
    found = [
        difference(by_seed.loc[model, upsampler] - by_seed.loc[model, "own"], "seeds") for model, upsampler in pairs
    ]
    table["difference_dB"] = [each.mean for each in found]
    table["half_width"] = [(each.high - each.low) / 2 for each in found]
    costs = ["model", "upsampler", "params_M", "macs_G", "params_saved", "macs_saved"]
    return table[[*costs, *METRICS, *PROJECTED, "over_bicubic_dB", "difference_dB", "half_width", "seeds"]]
