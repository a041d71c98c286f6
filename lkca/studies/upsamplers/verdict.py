"""Tables of `upsamplers` and `upsamplers_elsewhere`, and what they say in words, computed from the numbers alone."""

import numpy as np
import pandas as pd

from lkca.measures.metrics import METRICS
from lkca.measures.rank import SHARE
from lkca.models import UNTRAINED
from lkca.studies.distillation import mean_differences, paired_differences
from lkca.studies.results import over_seeds
from lkca.tables import CURVE, DISTILLED, EQUAL_PARAMS, FULL, PLAIN

KEPT = 0.95  # of the gain over bicubic: a truncation that keeps it has lost little
LOW_RANK = ("svd", "spectral", EQUAL_PARAMS)
OVER = {"params_M": "spectral", "macs_G": EQUAL_PARAMS}  # the other one is as large as that cost allows


def upsamplers_table(frame: pd.DataFrame, times: pd.DataFrame) -> pd.DataFrame:
    """A row an upsampler: rank, cost of the network, its own cost and time as multiples of `grouped`'s, quality.

    frame : from `with_setting`. times : from `measured_times`; a distilled one takes as long as it does undistilled.
    """
    chosen = frame[~frame["setting"].isin([*UNTRAINED, CURVE])]
    table = over_seeds(chosen, ["setting"])
    upsamplers = chosen.groupby("setting", sort=False)[["k", "upsampler_params_M", "upsampler_macs_G"]].first()
    grouped = upsamplers.loc["grouped"]
    ratio = times.set_index("setting")["ratio"]
    table.insert(1, "k", upsamplers["k"].astype("Int64").to_numpy())
    for name, column in (("upsampler_params", "upsampler_params_M"), ("upsampler_macs", "upsampler_macs_G")):
        table[name] = (upsamplers[column] / grouped[column]).to_numpy()
    table["upsampler_time"] = table["setting"].str.removesuffix(DISTILLED).map(ratio)
    return table


def at_equal(table: pd.DataFrame, cost: str) -> pd.DataFrame:
    """The rows of `upsamplers_table` to be compared at equal parameters ("params_M") or MACs ("macs_G").

    The spectral upsampler stands in it once, with the rank that this cost allows.
    """
    return table[table["setting"] != OVER[cost]].reset_index(drop=True)


def differences(frame: pd.DataFrame, against: str) -> pd.DataFrame:
    """Each upsampler minus the one named, seed by seed: mean and 95 % t-interval, as `comparisons.mean_differences`."""
    chosen = frame[~frame["setting"].isin([*UNTRAINED, CURVE])]
    return mean_differences(paired_differences(chosen.assign(setting=chosen["setting"].replace(against, PLAIN))))


def enough_rank(truncation: pd.DataFrame, bicubic: float) -> int | None:
    """The smallest k from which on the cut network keeps 95 % of the full one's gain over bicubic.

    None where it has no gain.
    """
    table = truncation.sort_values("k")
    gain = table["cut_MPSNR"] - bicubic
    if gain.iloc[-1] <= 0:
        return None
    short = table.loc[gain < KEPT * gain.iloc[-1], "k"]
    return int(table["k"].min() if short.empty else table.loc[table["k"] > short.max(), "k"].min())


def rank_in_words(truncation: pd.DataFrame, bicubic: float) -> list[str]:
    """Is the trained upsampler low rank, and does the share of the singular values say so?"""
    table = truncation.sort_values("k").set_index("k")
    last, enough = table.iloc[-1], enough_rank(truncation, bicubic)
    n, k90, budget = int(last["values"]), int(last["k90"]), int(last["budget"])
    if enough is None:
        return [f"The full network is not better than bicubic ({last.cut_MPSNR - bicubic:+.4f} dB): its rank is moot."]
    at, change = table.loc[enough], table["cut_MPSNR"] - last.cut_MPSNR
    says = "far more than" if k90 > 2 * enough else "far less than" if 2 * k90 < enough else "about what"
    tuned = table.loc[budget, "tuned_MPSNR"] - last.tuned_MPSNR
    verdict = "low rank in effect" if enough <= budget else "not low rank"
    return [
        f"The trained upsampler is {verdict}: cut to rank {enough} of {n} as it stands, the network keeps {KEPT:.0%} "
        f"of its {last.cut_MPSNR - bicubic:.4f} dB over bicubic, and LKCA-LR's cost pays for rank {budget}.",
        f"Those {enough} hold {at.share:.0%} of the sum of the singular values and leave a relative Frobenius error of "
        f"{at.error:.2f}. {SHARE:.0%} of the sum takes {k90} values, {says} the quality needs; cut there it "
        f"changes by {change[k90]:+.4f} dB.",
        f"Cut to rank {budget} it changes by {change[budget]:+.4f} dB as it stands, and is {tuned:+.4f} dB from the "
        "full upsampler after the same short fine-tuning of both.",
    ]


def suffices_in_words(from_full: pd.DataFrame) -> str:
    """Does a low-rank upsampler, trained as such, reach the full one? from_full : `differences(frame, FULL)`."""
    rows = _mpsnr(from_full, LOW_RANK)
    listed = ", ".join(_amount(row) for row in rows)
    if any(np.isnan(row.half_width) for row in rows):
        return f"Trained as such, against the full upsampler: {listed}. One seed tells no difference from chance."
    worse = [row for row in rows if row.mean < -row.half_width]
    verdict = "Low rank suffices" if len(worse) < len(rows) else "Low rank does not suffice"
    told = f"{len(rows) - len(worse)} of {len(rows)} low-rank upsamplers cannot be told from the full one or are better"
    return f"{verdict}: trained as such, {told} ({listed})."


def budget_in_words(from_grouped: pd.DataFrame, times: pd.DataFrame) -> str:
    """Is the grouped convolution the right way to spend its cost? from_grouped : `differences(frame, "grouped")`."""
    names = [name for name in from_grouped["setting"].unique() if DISTILLED not in name]
    rows = _mpsnr(from_grouped, [name for name in names if name not in (FULL, EQUAL_PARAMS)])
    best = max(rows, key=lambda row: row.mean)
    ratio = times.set_index("setting")["ratio"].get(best.setting)
    takes = "" if ratio is None else f"; its upsampler takes {ratio:.2f} times as long"
    if np.isnan(best.half_width):
        ahead = "ahead of" if best.mean > 0 else "behind"
        return (
            f"At LKCA-LR's cost the best other upsampler is {ahead} grouped, {_amount(best)}{takes}; "
            "one seed tells no more."
        )
    if best.mean > best.half_width:
        return f"The grouped convolution is not the best use of its cost: {_amount(best)} against it{takes}."
    worse = [row.setting for row in rows if row.mean < -row.half_width]
    behind = f", and {', '.join(worse)} are behind it" if worse else ""
    return f"No upsampler is better than grouped at its cost beyond what seeds do{behind}: best {_amount(best)}{takes}."


def distillation_in_words(frame: pd.DataFrame) -> list[str]:
    """What distilling adds to each upsampler, against the same upsampler with the same seeds and no teacher."""
    sentences = []
    for name in frame["setting"].unique():
        plain = str(name).removesuffix(DISTILLED)
        if plain != name:
            (row,) = _mpsnr(differences(frame[frame["setting"].isin([name, plain])], plain), [name])
            sentences.append(f"Distilling adds to {plain}: {_number(row)}.")
    return sentences


def elsewhere_table(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each network and upsampler: cost, what of it is saved, quality, and that above bicubic and its own."""
    table = frame[~frame["model"].isin(UNTRAINED)].reset_index(drop=True)
    own = table[table["upsampler"] == "own"].set_index("model")
    for saved, column in (("params_saved", "params_M"), ("macs_saved", "macs_G")):
        table[saved] = 1 - table[column] / table["model"].map(own[column])
    table["over_bicubic_dB"] = table["MPSNR"] - frame.loc[frame["model"] == "bicubic", "MPSNR"].item()
    table["difference_dB"] = table["MPSNR"] - table["model"].map(own["MPSNR"])
    costs = ["model", "upsampler", "params_M", "macs_G", "params_saved", "macs_saved"]
    return table[[*costs, *METRICS, "over_bicubic_dB", "difference_dB"]]


def elsewhere_in_words(table: pd.DataFrame) -> list[str]:
    """One sentence a network: what its other upsamplers save and lose. table : from `elsewhere_table`."""
    sentences = []
    for model, rows in table.groupby("model", sort=False):
        parts = [
            f"{row.upsampler} saves {row.params_saved:.0%} of the parameters and {row.macs_saved:.0%} of the MACs at "
            f"{row.difference_dB:+.4f} dB"
            for row in rows[rows["upsampler"] != "own"].itertuples()
        ]
        own = rows.loc[rows["upsampler"] == "own", "over_bicubic_dB"].item()
        caution = (
            "" if own > 0 else f" As published it is {-own:.3f} dB below bicubic here: too little training to judge."
        )
        sentences.append(f"{model}: {'; '.join(parts)} (one seed).{caution}")
    return sentences


def _mpsnr(means: pd.DataFrame, settings: object) -> list:
    return list(means[(means["metric"] == "MPSNR") & means["setting"].isin(list(settings))].itertuples())


def _amount(row: object) -> str:
    return f"{row.setting} {_number(row)}"


def _number(row: object) -> str:
    return f"{row.mean:+.4f} dB" if np.isnan(row.half_width) else f"{row.mean:+.4f} ± {row.half_width:.4f} dB"
