"""The verdicts on the paper's five claims, computed from the tables in results/ by the rules of docs/verdicts.md."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lkca.data.datasets import DATASETS
from lkca.paths import results_folder
from lkca.studies.intervals import interval
from lkca.studies.scenes import over_places, paired, with_corrected

CONFIRMED, WEAKENED, REFUTED, OPEN = "confirmed", "weakened", "refuted", "open"
MATTERS = 0.02  # dB: a smaller difference is none in practice
LITTLE = 0.1  # dB: what a low-rank upsampler may lose
LEAST_PLACES, LEAST_SEEDS = 8, 3
DOZENS = 24  # times
MOST_RISING = 0.25  # share of runs that may have been stopped while they rose
DECIDING = ("paper", "small", "converged", "cpu")  # profiles in the order in which they are asked; quick never decides
SLOW = ("sspsr", "msdformer", "essaformer")
HOSTS = ("vdsr", "sspsr", "msdformer", "essaformer")  # networks that get a low-rank upsampler
CLAIMS = {
    1: "quality grows with the number of blocks and saturates at 32 to 64",
    2: "the upsampler's spectrum is low rank",
    3: "LKCA-LR loses little, distillation wins most of it back",
    4: "dozens to hundreds of times faster than SSPSR, MSDformer, ESSAformer",
    5: "the low-rank upsampler fits most networks",
}


@dataclass(frozen=True)
class Verdict:
    """word : one of the four. numbers : what decided it, in words. source : the table, in results/."""

    claim: int
    word: str
    numbers: str
    source: str = "-"


def verdicts() -> pd.DataFrame:
    """A row for each claim: claim, verdict, numbers, table."""
    found = [blocks_verdict(), rank_verdict(), distillation_verdict(), speed_verdict(), hosts_verdict()]
    rows = [(f"{v.claim}. {CLAIMS[v.claim]}", f"**{v.word}**", v.numbers, v.source) for v in found]
    return pd.DataFrame(rows, columns=["claim of the paper", "verdict", "what decides", "table"])


def unfit(frame: pd.DataFrame) -> str:
    """Why a study's table can decide nothing, in a few words; empty if it can."""
    if "code" not in frame or frame["code"].isna().any():
        return "runs whose code is not recorded"
    shared = sorted(set(frame["code"].str.split("-").str[0]))
    if len(shared) > 1:
        return f"runs of {len(shared)} states of the code ({', '.join(shared)})"
    rising = (frame["late_rise_dB"].dropna() > MATTERS).mean() if "late_rise_dB" in frame else np.nan
    if rising > MOST_RISING:
        return f"{rising:.0%} of the runs were stopped while they rose"
    if (frame["dataset"].nunique() == 1) and not _made(frame):
        return "one real scene"
    return ""


def blocks_verdict() -> Verdict:
    """Claim 1, from `block_count`."""
    frame, source = _deciding("block_count")
    if frame is None:
        return Verdict(1, OPEN, "no table of a profile that decides")
    lkca = frame[frame["model"] == "lkca"]
    table = lkca.pivot_table(index="seed", columns="blocks", values="MPSNR")
    numbers = sorted(table.columns)
    steps = {(a, b): interval(table[b] - table[a]) for a, b in zip(numbers, numbers[1:], strict=False)}
    whole = interval(table[numbers[-1]] - table[numbers[0]])
    said = f"N = {numbers[0]:.0f} to {numbers[-1]:.0f}: {_dB(whole)}" + "".join(
        f"; {a:.0f} to {b:.0f}: {_dB(step)}" for (a, b), step in steps.items()
    )
    if reason := unfit(frame) or _few_seeds(table):
        return Verdict(1, OPEN, f"{reason}; {said}", source)
    gains = [mean - half > 0 and mean >= MATTERS for (_, b), (mean, half) in steps.items() if b <= 32]
    flat = [mean < MATTERS for (_, b), (mean, _) in steps.items() if b > 32]
    ended = any(
        one[0] < MATTERS and two[0] < MATTERS
        for one, two in zip(list(steps.values()), list(steps.values())[1:], strict=False)
    )
    if whole[0] + whole[1] < MATTERS:
        word = REFUTED
    elif numbers[-1] >= 64 and all(gains) and all(flat):
        word = CONFIRMED
    elif whole[0] - whole[1] > MATTERS and ended:
        word = WEAKENED
    else:
        word = OPEN
    return Verdict(1, word, said + _where(frame), source)


def rank_verdict() -> Verdict:
    """Claim 2, from the cuts of `upsamplers`."""
    cuts, source = _deciding("upsamplers_truncation")
    runs, _ = _deciding("upsamplers")
    if cuts is None or runs is None:
        return Verdict(2, OPEN, "no table of a profile that decides")
    bicubic = runs.loc[runs["model"] == "bicubic", "MPSNR"].iloc[0]
    parts = []
    for _, found in cuts.groupby("run", sort=False):
        found = found.sort_values("k")
        whole, budget = found.iloc[-1], found[found["k"] <= found["budget"].iloc[0]].iloc[-1]
        kept = (budget["cut_MPSNR"] - bicubic) / (whole["cut_MPSNR"] - bicubic)
        parts.append((whole["k90"] / whole["values"], kept, whole["cut_MPSNR"] > bicubic))
    shares, kept, above = (np.array(part) for part in zip(*parts, strict=True))
    said = (
        f"90 % of the sum lies in {_range(shares)} of the singular values; cut to the rank that LKCA-LR pays for, "
        f"{_range(kept)} of the gain over bicubic is kept ({len(parts)} seed{'s' * (len(parts) > 1)})"
    )
    used = runs[runs["run"].isin(cuts["run"])]
    # by its nature this claim is about one training, so that one scene and its seeds will do
    reason = unfit(used).removeprefix("one real scene")
    if not above.all():
        reason = reason or "a network that is not above bicubic"
    if len(parts) < LEAST_SEEDS:
        reason = reason or f"fewer than {LEAST_SEEDS} seeds"
    if reason:
        return Verdict(2, OPEN, f"{reason}; {said}", source)
    held = [bool((shares <= 0.1).all()), bool((kept >= 0.9).all())]
    return Verdict(2, {2: CONFIRMED, 1: WEAKENED, 0: REFUTED}[sum(held)], said + _where(runs), source)


def distillation_verdict() -> Verdict:
    """Claim 3, from `scenes` at x4."""
    frame, source = _deciding("scenes")
    wanted = {"lkca", "lkca-lr", "lkca-kd", "back-projection"}
    if frame is None:
        return Verdict(3, OPEN, "no table of many scenes yet")
    if lacking := wanted - set(frame.loc[frame["scale"] == 4, "model"]):
        return Verdict(3, OPEN, f"not run on many scenes: {', '.join(sorted(lacking))}", source)
    x4 = frame[(frame["scale"] == 4) & frame["model"].isin(wanted)]
    lost, lost_median, places = _over(x4, "lkca-lr", "lkca")
    won, won_median, _ = _over(x4, "lkca-kd", "lkca-lr")
    beyond, _, _ = _over(x4, "lkca-lr", "back-projection")
    said = (
        f"LR - Net {_dB(lost)}, KD - LR {_dB(won)}, over {places} places (medians {lost_median:+.3f} and "
        f"{won_median:+.3f} dB); LR - back-projection {_dB(beyond)}"
    )
    both = with_corrected(x4)
    if "lkca-lr + bp" in set(both["model"]):
        after, _, _ = _over(both, "lkca-lr + bp", "lkca + bp")
        said += f"; LR - Net after back-projection of both {_dB(after)}"
    reason = unfit(x4[x4["model"] != "back-projection"])
    if places < LEAST_PLACES:
        reason = reason or f"{places} places, {LEAST_PLACES} are needed"
    if reason:
        return Verdict(3, OPEN, f"{reason}; {said}", source)
    if lost[0] + lost[1] < -LITTLE or won[0] + won[1] < 0:
        word = REFUTED
    elif lost[0] - lost[1] <= -LITTLE:
        word = OPEN
    elif won[0] - won[1] > 0 and won[0] >= max(MATTERS, -lost[0] / 2):
        word = CONFIRMED
    else:
        word = WEAKENED
    return Verdict(3, word, said, source)


def speed_verdict() -> Verdict:
    """Claim 4, from the ratios of `speed`."""
    name = "speed/cpu-ratios.csv"
    path = results_folder() / name
    ratios = pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=["model"])
    missing = sorted(set(SLOW) - set(ratios["model"]))
    if missing:
        return Verdict(4, OPEN, f"not measured: {', '.join(missing)}")
    found = ratios[ratios["model"].isin(SLOW)].groupby("model")["times_faster"].agg(["min", "max"])
    sizes = len(ratios.loc[ratios["model"].isin(SLOW), ["batch", "size"]].drop_duplicates())
    ranges = {model: sorted({f"{found.loc[model, end]:.1f}" for end in ("min", "max")}, key=float) for model in SLOW}
    said = ", ".join(f"{model} {' to '.join(ends)} times" for model, ends in ranges.items())
    least = found["min"].min()
    word = CONFIRMED if least >= DOZENS else WEAKENED if least > 1 else REFUTED
    return Verdict(4, word, f"{said}; at {sizes} size{'s' * (sizes > 1)}, on a CPU", name)


def hosts_verdict() -> Verdict:
    """Claim 5, from `upsamplers_elsewhere`."""
    frame, source = _deciding("upsamplers_elsewhere")
    if frame is None:
        return Verdict(5, OPEN, "no table of a profile that decides")
    bicubic = frame.loc[frame["model"] == "bicubic", "MPSNR"].iloc[0]
    fits: dict[str, bool] = {}
    said, seeds = [], []
    for model in HOSTS:
        rows = frame[frame["model"] == model]
        own = rows[rows["upsampler"] == "own"].set_index("seed")
        if own.empty or own["MPSNR"].mean() <= bicubic:
            said.append(f"{model}: not above bicubic as published, or not run")
            continue
        low = rows[rows["upsampler"] != "own"]
        best = max(
            (found.set_index("seed") for _, found in low.groupby("upsampler")), key=lambda one: one["MPSNR"].mean()
        )
        change = interval(best["MPSNR"] - own["MPSNR"])
        saved = max(1 - best[cost].iloc[0] / own[cost].iloc[0] for cost in ("params_M", "macs_G"))
        fits[model] = change[0] - (change[1] if np.isfinite(change[1]) else 0) > -LITTLE and saved >= 0.25
        seeds.append(len(own))
        said.append(f"{model}: {_dB(change)}, {saved:.0%} saved")
    text = "; ".join(said)
    reason = unfit(frame)
    if len(fits) < 3:
        reason = reason or f"{len(fits)} networks can be judged"
    elif min(seeds) < LEAST_SEEDS:
        reason = reason or f"fewer than {LEAST_SEEDS} seeds"
    if reason:
        return Verdict(5, OPEN, f"{reason}; {text}", source)
    count = sum(fits.values())
    word = CONFIRMED if count >= 3 else WEAKENED if count == 2 else REFUTED if len(fits) == len(HOSTS) else OPEN
    return Verdict(5, word, text + _where(frame), source)


def _deciding(study: str) -> tuple[pd.DataFrame | None, str]:
    """The study's table of the first profile that has one, and its name."""
    for profile in DECIDING:
        name = f"{profile}/{study}.csv"
        if (results_folder() / name).is_file():
            return pd.read_csv(results_folder() / name), name
    return None, "-"


def _made(frame: pd.DataFrame) -> bool:
    made = [name for name, dataset in DATASETS.items() if dataset.kind in ("made_scenes", "fresh_scenes")]
    return bool(frame["dataset"].isin(made).all())


def _where(frame: pd.DataFrame) -> str:
    return "; on made scenes" if _made(frame) else ""


def _few_seeds(table: pd.DataFrame) -> str:
    return f"fewer than {LEAST_SEEDS} seeds" if len(table.dropna()) < LEAST_SEEDS else ""


def _over(frame: pd.DataFrame, one: str, other: str) -> tuple[tuple[float, float], float, int]:
    """Mean and half width of MPSNR over places, the median, and their number."""
    means = over_places(paired(frame, other, [one]))
    row = means[means["metric"] == "MPSNR"].iloc[0]
    return (row["mean"], row["half_width"]), row["median"], int(row["places"])


def _dB(found: tuple[float, float]) -> str:
    mean, half = found
    return f"{mean:+.3f} dB" if np.isnan(half) else f"{mean:+.3f} ± {half:.3f} dB"


def _range(shares: np.ndarray) -> str:
    low, high = shares.min(), shares.max()
    return f"{low:.0%}" if f"{low:.0%}" == f"{high:.0%}" else f"{low:.0%} to {high:.0%}"
