"""What the measured table says: gains over bicubic, their intervals over scenes, sentences that follow from them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lkca.figures.style import LABELS
from lkca.measures.metrics import HIGHER_IS_BETTER, METRICS
from lkca.measures.optics import PROTOCOL
from lkca.paths import results_folder
from lkca.studies.any_sensor.measured import (
    BACK_PROJECTION,
    BICUBIC,
    METHODS,
    QUARTER,
    USUAL,
    WHOLE,
)
from lkca.studies.any_sensor.training_sets import COUNTS, ENDLESS, MADE, OTHER_SENSORS, REAL, SCALE
from lkca.studies.intervals import half_width

TRAINED = ("lkca-lr", "lkca-best", "vdsr")  # networks trained on the scene itself that are held against the box
IDENTITY = ["scene", "sensor", "place", "part", "scale", "optics"]
UNITS = {"MPSNR": ", dB", "SAM": ", °"}


def title_of(frame: pd.DataFrame) -> str:
    """What was measured on; it stands in the title of every table and figure."""
    real = frame[frame["sensor"] != "made"].drop_duplicates("scene")
    made = frame[frame["sensor"] == "made"]["scene"].nunique()
    if len(real) == 1:
        found = f"{real['scene'].iloc[0]} ({real['sensor'].iloc[0]})"
    else:
        found = f"{len(real)} real scenes of {real['sensor'].nunique()} sensors"
    return f"{found} and {made} made scenes that never trained" if made else found


def gains(frame: pd.DataFrame, against: str = BICUBIC) -> pd.DataFrame:
    """Every row minus that of `against` on the same LR image: the columns of the metrics become differences."""
    base = frame[frame["method"] == against].set_index(IDENTITY)[list(METRICS)]
    rows = frame[frame["method"] != against]
    rows = rows[rows.set_index(IDENTITY).index.isin(base.index)].reset_index(drop=True)
    rows[list(METRICS)] -= base.loc[pd.MultiIndex.from_frame(rows[IDENTITY])].to_numpy()
    return rows


def main_rows(frame: pd.DataFrame, part: str = WHOLE) -> pd.DataFrame:
    """Rows of the main question: LR images of the protocol, weights in the box, the trained number of directions."""
    usual = (frame["directions"].isna() | (frame["directions"] == USUAL)) & frame["method"].isin(METHODS)
    return frame[usual & (frame["optics"] == PROTOCOL) & (frame["part"] == part)]


def intervals(differences: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Mean over scenes of `gains` and half the width of its 95 % t-interval (NaN with one scene), metric by metric.

    Columns: those of `by`, metric, mean, half_width, scenes, better (scenes where the difference is an improvement).
    """
    long = differences.melt([*by, "scene"], list(METRICS), "metric", "difference")
    sign = long["metric"].map(HIGHER_IS_BETTER).map({True: 1, False: -1})
    groups = long.assign(better=sign * long["difference"] > 0).groupby([*by, "metric"], sort=False, dropna=False)
    table = groups["difference"].agg(["mean", "sem", "size"]).reset_index()
    table["half_width"] = half_width(table["sem"], table["size"])
    table["better"] = groups["better"].sum().to_numpy()
    return table.rename(columns={"size": "scenes"})[[*by, "metric", "mean", "half_width", "scenes", "better"]]


def wide(frame: pd.DataFrame, metric: str = "MPSNR") -> pd.DataFrame:
    """A row a scene and scale: bicubic's value, and the gain of every method that was measured."""
    rows = main_rows(frame)
    values = rows.pivot_table(metric, ["scale", "scene", "sensor"], "method", sort=False)
    columns = [method for method in METHODS if method in values]
    values = values[columns]
    values[columns[1:]] = values[columns[1:]].sub(values[BICUBIC], axis=0)
    return values.reset_index().rename_axis(columns=None)


def far_quarters(frame: pd.DataFrame, profile: str) -> tuple[pd.DataFrame, list[str]]:
    """Gains over bicubic on the far quarters, networks trained on the other three beside the box; what is missing.

    The networks' rows are those of the study `scenes`, where it has been done, at the same scale; means over seeds.
    """
    ours = main_rows(frame, QUARTER)
    path = results_folder() / profile / "scenes.csv"
    if not path.is_file():
        return gains(ours), [f"networks trained on each scene: the study `scenes` has no table at profile {profile!r}"]
    theirs = pd.read_csv(path).query("scale == @SCALE and dataset in @ours.scene.unique() and model in @TRAINED")
    means = theirs.groupby(["dataset", "model"], sort=False)[list(METRICS)].mean().reset_index()
    named = means.rename(columns={"dataset": "scene", "model": "method"})
    facts = ours.drop_duplicates("scene")[IDENTITY]
    both = pd.concat([ours, named.merge(facts, on="scene")], ignore_index=True)
    wanted = {(scene, model) for scene in facts["scene"] for model in TRAINED}
    lacking = wanted - set(zip(named["scene"], named["method"], strict=True))
    missing = [f"{LABELS[m]}: {', '.join(sorted(s for s, of in lacking if of == m))}" for m in TRAINED
               if any(of == m for _, of in lacking)]  # fmt: skip
    return gains(both), missing


def ahead_of_trained(quarters: pd.DataFrame) -> list[str]:
    """On how many far quarters the box, which saw nothing of the scene, is ahead of a network trained on the rest."""
    table, sentences = quarters.pivot_table("MPSNR", "scene", "method", sort=False), []
    if MADE not in table:
        return sentences
    for other in table.columns.intersection((BACK_PROJECTION, *TRAINED), sort=False):
        ahead = (table[MADE] - table[other]).dropna()
        sentences.append(
            f"{MADE} is ahead of {LABELS[other]} on {int((ahead > 0).sum())} of {len(ahead)} far quarters, "
            f"by {ahead.mean():+.2f} dB on the mean."
        )
    trained = table.columns.intersection(TRAINED)
    all_there = table.dropna(subset=trained) if len(trained) > 1 else table[:0]
    if len(all_there):
        ahead = all_there[MADE] > all_there[trained].max(axis=1)
        sentences.append(f"It is ahead of all {len(trained)} that trained on {int(ahead.sum())} of {len(ahead)}.")
    return sentences


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """A row a scale and method: gain over bicubic with its 95 % interval over scenes, and on how many it is ahead.

    Scenes of one place are not independent: "by place" counts each place once.
    """
    rows = []
    for scale, at_scale in main_rows(frame).groupby("scale"):
        over_bicubic = gains(at_scale)
        beyond = gains(at_scale, BACK_PROJECTION).groupby("method")["MPSNR"]
        for method, own in over_bicubic.groupby("method", sort=False):
            means = intervals(own, ["method"]).set_index("metric")
            places = own.assign(scene=own["place"].where(own["place"] != "", own["scene"]))
            by_place = places.groupby(["method", "scene"])[list(METRICS)].mean().reset_index()
            once = intervals(by_place, ["method"]).set_index("metric").loc["MPSNR"]
            said = {f"{metric}{unit}": _signed(means.loc[metric]) for metric, unit in UNITS.items()}
            ahead = int((beyond.get_group(method) > 0).sum()) if method in beyond.groups else ""
            rows.append(
                {"scale": scale, "method": method}
                | said
                | {"by place, dB": f"{_signed(once)} ({int(once['scenes'])})", "scenes": len(own)}
                | {"ahead of bicubic": int(means.loc["MPSNR", "better"]), "of back-projection": ahead}
            )
    return pd.DataFrame(rows)


PAIRS = ((OTHER_SENSORS, ENDLESS), (REAL, MADE))  # weights that saw real scenes, and those of made ones alone


def real_minus_made(frame: pd.DataFrame) -> pd.DataFrame:
    """What real scenes of other sensors add to made ones: means of paired differences on scenes of left-out sensors.

    Columns: those of `intervals` by real (the method), scale and counted (each "scene" or each "sensor" once).
    """
    rows = frame[(frame["optics"] == PROTOCOL) & (frame["part"] == WHOLE) & (frame["sensor"] != "made")]
    rows = rows[rows["directions"] == USUAL]
    parts = []
    for real, made in PAIRS:
        if set(rows["method"]) >= {real, made}:
            own = gains(rows[rows["method"].isin([real, made])], made).assign(counted="scene")
            by_sensor = own.groupby(["method", "scale", "sensor"])[list(METRICS)].mean().reset_index()
            parts += [own, by_sensor.rename(columns={"sensor": "scene"}).assign(counted="sensor")]
    if not parts:
        return pd.DataFrame(columns=["method", "scale", "counted", "metric", "mean", "half_width", "scenes", "better"])
    return intervals(pd.concat(parts), ["method", "scale", "counted"]).dropna(subset="mean")


def default_kind(table: pd.DataFrame) -> str:
    """Which weights are the default: real ones where they are better on left-out sensors by more than chance."""
    rows = table[(table["counted"] == "scene") & (table["metric"] == "MPSNR") & (table["scale"] == SCALE)]
    if rows.empty:
        return "No run has seen real scenes of other sensors yet: the default weights are those of kind `made`."
    row = rows.iloc[-1]  # the weights in the box, where their counterpart has been trained
    better = row["mean"] > row["half_width"]
    kind = "real" if better else "made"
    reason = "better by more than chance" if better else "anybody can remake them, and the others are not better"
    return (
        f"Real scenes of other sensors beside made ones: {_signed(row)} dB on {int(row['scenes'])} scenes of left-out "
        f"sensors. By the rule the default weights are those of kind `{kind}`: {reason}."
    )


def by_training_set(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean gain over bicubic, at one scale, of weights trained equally long on more and more made scenes.

    Columns: those of `intervals` by made_scenes, which is infinite where none was seen twice.
    """
    rows = frame[(frame["optics"] == PROTOCOL) & (frame["part"] == WHOLE) & (frame["scale"] == SCALE)]
    own = gains(rows[rows["method"].isin([BICUBIC, *COUNTS])])
    counts = own["method"].map({method: count or np.inf for method, count in COUNTS.items()})
    table = intervals(own.assign(made_scenes=counts.astype(float)), ["made_scenes"]).dropna(subset="mean")
    return table.sort_values(["metric", "made_scenes"], ignore_index=True)


def of_other_sensors(frame: pd.DataFrame) -> dict[str, float] | None:
    """Mean gain by metric of weights that saw real scenes of other sensors; None unless measured on every scene."""
    rows = frame[(frame["optics"] == PROTOCOL) & (frame["part"] == WHOLE) & (frame["scale"] == SCALE)]
    means = intervals(gains(rows[rows["method"].isin([BICUBIC, OTHER_SENSORS])]), ["method"]).dropna(subset="mean")
    everywhere = len(means) and (means["scenes"] == rows["scene"].nunique()).all()
    return dict(zip(means["metric"], means["mean"], strict=True)) if everywhere else None


def enough_directions(frame: pd.DataFrame) -> str:
    """How many directions are enough for nine tenths of the best mean gain."""
    table = by_directions(frame).query("metric == 'MPSNR'")
    enough = table[table["mean"] >= 0.9 * table["mean"].max()]["directions"].min()
    best = table.loc[table["mean"].idxmax()]
    largest = f"k = {best['directions']} ({best['mean']:+.2f} dB)"
    return f"The mean gain is largest with {largest}; k = {enough} has nine tenths of it."


def by_directions(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean gain over bicubic by the number of directions, of the weights trained on made scenes, at one scale."""
    rows = frame[(frame["optics"] == PROTOCOL) & (frame["part"] == WHOLE) & (frame["scale"] == SCALE)]
    rows = rows[rows["method"].isin([BICUBIC, MADE])]
    return intervals(gains(rows), ["directions"]).sort_values(["metric", "directions"], ignore_index=True)


def by_optics(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean gain over bicubic of the same LR image by optics and method, over the scenes seen through all of them."""
    usual = (frame["directions"].isna() | (frame["directions"] == USUAL)) & frame["method"].isin(METHODS)
    rows = frame[usual & (frame["part"] == WHOLE) & (frame["scale"] == SCALE)]
    everywhere = rows[rows["optics"] != PROTOCOL]["scene"].unique()
    return intervals(gains(rows[rows["scene"].isin(everywhere)]), ["optics", "method"])


def optics_to_mind(frame: pd.DataFrame) -> pd.DataFrame:
    """Optics through which the weights of made scenes should not be used without a look, at x4 against bicubic.

    A row for optics where a scene loses or the spectral angle grows on the mean: both means, on how many scenes either
    gets worse, and the scene that loses most; no rows where there are none.
    """
    table = by_optics(frame).query("method == @MADE").set_index(["metric", "optics"])
    single = gains(frame[(frame["part"] == WHOLE) & (frame["scale"] == SCALE)])
    single = single[(single["method"] == MADE) & (single["directions"] == USUAL)]
    rows = []
    for optics in table.index.get_level_values("optics").unique():
        quality, angle = table.loc[("MPSNR", optics)], table.loc[("SAM", optics)]
        lost = single[(single["optics"] == optics) & (single["MPSNR"] <= 0)].sort_values("MPSNR")
        if len(lost) or angle["mean"] > 0:
            worst = f"{lost['scene'].iloc[0]} {lost['MPSNR'].iloc[0]:+.2f}" if len(lost) else ""
            fewer = quality["scenes"] - quality["better"], angle["scenes"] - angle["better"]
            rows.append((optics, quality["mean"], fewer[0], worst, angle["mean"], fewer[1], quality["scenes"]))
    columns = ("optics", "MPSNR, dB", "worse on", "most", "SAM, °", "grows on", "scenes")
    return pd.DataFrame(rows, columns=columns)


def least_gain(frame: pd.DataFrame, count: int = 3) -> list[str]:
    """The scenes where the weights of made scenes gain least in MPSNR at x4, the least first."""
    rows = gains(main_rows(frame).query("scale == @SCALE and method in @METHODS")).query("method == @MADE")
    return rows.sort_values("MPSNR")["scene"].head(count).tolist()


def _signed(row: pd.Series) -> str:
    """A mean and half the width of its interval."""
    return f"{row['mean']:+.2f}" + ("" if np.isnan(row["half_width"]) else f" ± {row['half_width']:.2f}")
