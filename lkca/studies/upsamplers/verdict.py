"""Tables of `upsamplers` and `upsamplers_elsewhere`, computed from the numbers alone."""

import pandas as pd

from lkca.measures.metrics import METRICS
from lkca.measures.rank import SHARE
from lkca.models import UNTRAINED
from lkca.studies.distillation import mean_differences, paired_differences
from lkca.studies.intervals import interval, with_verdict
from lkca.studies.results import CORRECTED, over_seeds
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
    table.insert(1, "k", upsamplers["k"].astype("Int64").array)
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
    """Each upsampler minus the one named, seed by seed: mean and 95 % t-interval, as `mean_differences` gives them."""
    chosen = frame[~frame["setting"].isin([*UNTRAINED, CURVE])]
    return mean_differences(paired_differences(chosen.assign(setting=chosen["setting"].replace(against, PLAIN))))


def differences_table(frame: pd.DataFrame) -> pd.DataFrame:
    """What is gained or lost in MPSNR, in dB, and whether that is more than chance.

    A row for each low-rank upsampler against the full one, for every upsampler against the grouped one, and for each
    distilled upsampler against the same one without a teacher. frame : from `with_setting`.
    """
    names = [str(name) for name in frame["setting"].unique()]
    distilled = [name for name in names if name.endswith(DISTILLED)]
    asked = {FULL: [name for name in names if name in LOW_RANK]}
    asked["grouped"] = [name for name in names if name not in (FULL, "grouped", EQUAL_PARAMS, *distilled)]
    parts = [differences(frame, against).assign(against=against) for against in asked]
    rows = [part[part["setting"].isin(asked[part["against"].iloc[0]])] for part in parts]
    for name in distilled:
        plain = name.removesuffix(DISTILLED)
        rows.append(differences(frame[frame["setting"].isin([name, plain])], plain).assign(against=plain))
    table = pd.concat(rows).query("metric == 'MPSNR'")
    return with_verdict(table)[["setting", "against", "mean", "half_width", "seeds", "verdict"]].reset_index(drop=True)


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


def cut_table(truncation: pd.DataFrame, bicubic: float) -> pd.DataFrame:
    """A trained upsampler cut to three ranks: what the quality needs, what LKCA-LR's cost pays for, what holds 90 %.

    Columns: rank (why this one), k, share of the sum of the singular values, relative Frobenius error, and the change
    of MPSNR from the full upsampler in dB, as it stands (`cut`) and after the same fine-tuning of both (`tuned`).
    """
    table = truncation.sort_values("k").set_index("k")
    last = table.iloc[-1]
    ranks = {
        f"keeps {KEPT:.0%} of the gain over bicubic": enough_rank(truncation, bicubic),
        "costs what LKCA-LR's upsampler costs": int(last["budget"]),
        f"holds {SHARE:.0%} of the sum": int(last["k90"]),
    }
    rows = [{"rank": why, "k": k, **table.loc[k]} for why, k in ranks.items() if k is not None]
    found = pd.DataFrame(rows).assign(of=int(last["values"]))
    for change in ("cut", "tuned"):
        found[change] = found[f"{change}_MPSNR"] - last[f"{change}_MPSNR"]
    return found[["rank", "k", "of", "share", "error", "cut", "tuned"]]


def rank_in_words(truncation: pd.DataFrame, bicubic: float) -> str:
    """Is the trained upsampler low rank in effect? truncation : of one run or, for several seeds, of several."""
    enough = [enough_rank(cuts, bicubic) for _, cuts in truncation.groupby("run", sort=False)]
    budget = int(truncation["budget"].iloc[0])
    if None in enough:
        return "The full network is not better than bicubic: the rank of its upsampler is moot."
    verdict = "low rank in effect" if max(enough) <= budget else "not low rank"
    needed = ", ".join(map(str, enough)) + (f" (of {len(enough)} seeds)" if len(enough) > 1 else "")
    return f"The trained upsampler is {verdict}: it needs rank {needed}, and LKCA-LR's cost pays for rank {budget}."


def elsewhere_table(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each network and upsampler: cost, what of it is saved, quality, and that above bicubic and its own.

    Quality is the mean over `seeds`. half_width : of the 95 % t-interval of difference_dB, which is paired by seed.
    """
    learned = frame[~frame["model"].isin(UNTRAINED)].groupby(["model", "upsampler"], sort=False)
    corrected = [column for column in CORRECTED if column in frame]
    table = learned[["params_M", "macs_G", *METRICS, *corrected]].mean().assign(seeds=learned.size()).reset_index()
    own = table[table["upsampler"] == "own"].set_index("model")
    for saved, column in (("params_saved", "params_M"), ("macs_saved", "macs_G")):
        table[saved] = 1 - table[column] / table["model"].map(own[column])
    table["over_bicubic_dB"] = table["MPSNR"] - frame.loc[frame["model"] == "bicubic", "MPSNR"].item()
    by_seed = frame.pivot_table(index=["model", "seed"], columns="upsampler", values="MPSNR")
    pairs = zip(table["model"], table["upsampler"], strict=True)
    found = [interval(by_seed.loc[model, upsampler] - by_seed.loc[model, "own"]) for model, upsampler in pairs]
    table[["difference_dB", "half_width"]] = found
    costs = ["model", "upsampler", "params_M", "macs_G", "params_saved", "macs_saved"]
    return table[[*costs, *METRICS, *corrected, "over_bicubic_dB", "difference_dB", "half_width", "seeds"]]
