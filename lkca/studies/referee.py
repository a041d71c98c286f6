"""Is a difference more than the seed, the training time, back-projection, or the scene?

A row for each difference that a claim is about, read from the tables in results/. Differences are in MPSNR, of runs
with the same seed and settings; "±" is half of the 95 % t-interval over seeds, over places in the last column.
"""

from dataclasses import dataclass

import pandas as pd

from lkca.paths import results_folder
from lkca.studies.intervals import interval
from lkca.studies.scenes import over_places, paired, with_corrected
from lkca.studies.verdicts import HOSTS, MATTERS

MADE, REAL = "converged", "cpu"  # profiles: many seeds on made scenes, one real scene
SEEDS, ONE_SCENE, NONE = "over seeds, made scenes", "over seeds, one real scene", "-"
GROUPED = "upsampler == 'grouped' and groups == 8 and rank == 0"


@dataclass(frozen=True)
class Comparison:
    """What a claim says of two kinds of runs.

    claim : its number. difference : in words, "one - other". study : whose runs they are.
    one, other : queries that select their rows of the study's table. models : their names in the study `scenes`.
    """

    claim: int
    difference: str
    study: str
    one: str
    other: str
    models: tuple[str, str] | None = None


def _flat(claim: int, one: str, other: str, difference: str) -> Comparison:
    """Two models of the study `until_flat`."""
    return Comparison(claim, f"{difference}, until flat", "until_flat", f"model == '{one}'", f"model == '{other}'")


COMPARISONS = (
    Comparison(1, "most blocks - one block", "block_count", "blocks == blocks.max()", "blocks == blocks.min()"),
    Comparison(
        3, "LKCA-LR - LKCA-Net", "upsamplers", f"model == 'lkca-lr' and {GROUPED}", "model == 'lkca'",
        ("lkca-lr", "lkca"),
    ),
    _flat(3, "lkca-lr", "lkca", "LKCA-LR - LKCA-Net"),
    Comparison(
        3, "LKCA-KD - LKCA-LR", "upsamplers", f"model == 'lkca-kd' and {GROUPED}", f"model == 'lkca-lr' and {GROUPED}",
        ("lkca-kd", "lkca-lr"),
    ),
    _flat(3, "lkca-kd", "lkca-lr", "LKCA-KD - LKCA-LR"),
    *(
        Comparison(
            5, f"{host}, grouped - own", "upsamplers_elsewhere",
            f"model == '{host}' and upsampler == 'grouped'", f"model == '{host}' and upsampler == 'own'",
        )
        for host in HOSTS
    ),
)  # fmt: skip
# Beside those of the claims, of networks that were trained until they stopped rising.
UNTIL_FLAT = (
    *(comparison for comparison in COMPARISONS if comparison.study == "until_flat"),
    _flat(0, "lkca-best", "lkca-lr", "LKCA-best - LKCA-LR"),
    _flat(0, "lkca-best", "lkca", "LKCA-best - LKCA-Net"),
    _flat(0, "lkca", "vdsr", "LKCA-Net - VDSR"),
)


def referee_table() -> pd.DataFrame:
    """A row for each of `COMPARISONS`.

    Columns: claim, then those of `made_answers`; of one real scene the difference over seeds, again also corrected; of
    many the difference over places. "-" where nothing was measured. Claim 4 is about time, and has no row.
    """
    rows = []
    for comparison in COMPARISONS:
        real = seed_pairs(comparison, REAL)
        rows.append(
            {
                "claim": comparison.claim,
                **made_answers(comparison),
                ONE_SCENE: _said(real["MPSNR"]),
                "one real scene, both back-projected": _said(real["MPSNR_bp"]),
                "over places": _over_places(comparison),
            }
        )
    cut = {SEEDS: _said(lost_by_cutting(MADE)), ONE_SCENE: _said(lost_by_cutting(REAL))}
    rows.insert(1, {"claim": 2, "difference (dB)": "full upsampler cut to LKCA-LR's rank - uncut", **cut})
    return pd.DataFrame(rows).fillna(NONE)


def made_answers(comparison: Comparison) -> dict[str, str]:
    """What made scenes say of a difference: over seeds; the same once both outputs are corrected by back-projection;
    in validation after half of the epochs and after all; how many runs still rose.
    """
    pairs = seed_pairs(comparison, MADE)
    halfway, end = at_half(comparison, MADE)
    return {
        "difference (dB)": comparison.difference,
        SEEDS: _said(pairs["MPSNR"]),
        "made scenes, both back-projected": _said(pairs["MPSNR_bp"]),
        "validation at half the steps": _said(halfway),
        "validation at the end": _said(end),
        "still rising": f"{int(pairs['rising'].sum())} of {2 * len(pairs)}" if len(pairs) else NONE,
    }


def lost_by_cutting(profile: str) -> pd.Series:
    """MPSNR of each trained full upsampler cut to the rank that LKCA-LR's cost pays for, minus that of the whole."""
    path = results_folder() / profile / "upsamplers_truncation.csv"
    if not path.is_file():
        return pd.Series(dtype=float)
    cuts = pd.read_csv(path).set_index("run")
    whole = cuts.loc[cuts["k"] == cuts["values"], "cut_MPSNR"]
    return cuts.loc[cuts["k"] == cuts["budget"], "cut_MPSNR"] - whole


def seed_pairs(comparison: Comparison, profile: str) -> pd.DataFrame:
    """A row a seed: differences in MPSNR and MPSNR_bp, how many of the two runs were rising, names and epochs of both.

    Columns: MPSNR, MPSNR_bp, rising, one, other, epochs (of the longer run), shorter.
    """
    path, curves = (results_folder() / profile / f"{comparison.study}{end}.csv" for end in ("", "_training"))
    if not (path.is_file() and curves.is_file()):
        return pd.DataFrame(columns=["MPSNR", "MPSNR_bp", "rising", "one", "other", "epochs", "shorter"])
    frame = pd.read_csv(path)
    length = pd.read_csv(curves).groupby("run")["epoch"].max()
    frame = frame[frame["late_rise_dB"].notna()]  # trained ones
    one, other = (frame.query(query).set_index("seed") for query in (comparison.one, comparison.other))
    pairs = one[["MPSNR", "MPSNR_bp"]] - other[["MPSNR", "MPSNR_bp"]]
    rising = (one["late_rise_dB"] > MATTERS).astype(int) + (other["late_rise_dB"] > MATTERS)
    pairs = pairs.assign(rising=rising, one=one["run"], other=other["run"]).dropna()
    lengths = pairs[["one", "other"]].apply(lambda names: names.map(length))
    return pairs.assign(epochs=lengths.max(axis=1), shorter=lengths.min(axis=1))


def differences_by_epoch(comparison: Comparison, profile: str) -> pd.DataFrame:
    """Difference of the best validation so far, at equal epochs: columns seed, epoch, difference (dB).

    A run that has ended keeps its last value while another of the comparison goes on.
    """
    path = results_folder() / profile / f"{comparison.study}_training.csv"
    pairs = seed_pairs(comparison, profile)
    if pairs.empty:
        return pd.DataFrame(columns=["seed", "epoch", "difference"])
    curves = pd.read_csv(path).pivot(index="epoch", columns="run", values="validation").cummax().ffill()
    wide = curves[pairs["one"]].to_numpy() - curves[pairs["other"]].to_numpy()
    frame = pd.DataFrame(wide, index=curves.index, columns=pairs.index.rename("seed"))[: int(pairs["epochs"].max())]
    return frame.T.stack().rename("difference").reset_index()


def at_half(comparison: Comparison, profile: str) -> tuple[pd.Series, pd.Series]:
    """Of `differences_by_epoch`, a seed each: after half of the shorter run's epochs, and at both's end."""
    rows, pairs = differences_by_epoch(comparison, profile), seed_pairs(comparison, profile)
    halves = rows["seed"].map((pairs["shorter"] // 2).clip(lower=1))
    halfway = rows[rows["epoch"] == halves].set_index("seed")["difference"]
    return halfway, rows.groupby("seed")["difference"].last()


def _over_places(comparison: Comparison) -> str:
    path = results_folder() / REAL / "scenes.csv"
    if comparison.models is None or not path.is_file():
        return NONE
    frame = pd.read_csv(path).query("scale == 4")
    one, other = comparison.models
    texts = []
    for ending in ("", " + bp"):
        found = over_places(paired(with_corrected(frame), other + ending, [one + ending]))
        row = found[found["metric"] == "MPSNR"].iloc[0]
        texts.append(f"{row['mean']:+.3f} ± {row['half_width']:.3f}, median {row['median']:+.3f}")
    return f"{texts[0]}; both back-projected {texts[1]}"


def _said(differences: pd.Series) -> str:
    if differences.dropna().empty:
        return NONE
    mean, half = interval(differences)
    return f"{mean:+.3f}" + (f" ± {half:.3f}" if pd.notna(half) else " (one seed)")
