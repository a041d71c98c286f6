"""Figures over many scenes, and over networks of equal cost."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lkca.figures.style import COLOURS, LABELS, MARKERS, UNITS, headline, lines_to_beat, plain_ticks
from lkca.measures.back_projection import STEPS

FAR_BELOW = 0.25  # dB below bicubic: what failed there must not squeeze what did not
STEP_COLOURS = ("#0072B2", "#D55E00", "#009E73")


def gains_by_scene(gains: pd.DataFrame, means: pd.DataFrame, against: str, title: str) -> Figure:
    """Gain of each model over one on each scene (grey dots), mean over places with its 95 % interval (bars).

    Of a scene far from all others stands the number, at the end of the axis; of a model far from all others its mean.

    gains, means : from `lkca.studies.scenes.paired` and `over_places`, both against the model `against`.
    """
    settings = list(dict.fromkeys(gains["setting"]))
    place = {setting: -number for number, setting in enumerate(settings)}
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 1.4 + 0.26 * len(settings)), sharey=True)
    headline(figure, title)
    for axis, (metric, unit) in zip(axes, UNITS.items(), strict=True):
        axis.axvline(0, color=COLOURS[against], ls="--", lw=1.2)
        rows = gains[gains["metric"] == metric]
        axis.plot(rows["difference"], rows["setting"].map(place), ls="none", marker="o", ms=3, color="#b8b8b8")
        found = means[means["metric"] == metric]
        for row in found.itertuples():
            colour = COLOURS.get(_model(row.setting), "#000000")
            half = None if np.isnan(row.half_width) else row.half_width
            filled = colour if not row.setting.startswith(f"{_model(row.setting)} + bp") else "white"
            axis.errorbar(row.mean, place[row.setting], xerr=half, fmt="o", capsize=3, color=colour, mfc=filled, ms=5)
        low, high = _without_failures(rows["difference"], found["mean"])
        inside = found[found["mean"].between(low, high)]  # one that failed everywhere squeezes no other
        half = inside["half_width"].fillna(0)
        axis.set_xlim(min(low, (inside["mean"] - half).min()), max(high, (inside["mean"] + half).max()))
        for setting, dots in rows.groupby("setting")["difference"]:
            if setting in set(inside["setting"]):
                _beyond(axis, dots, place[setting])
        for row in found.drop(inside.index).itertuples():
            number = f"mean {row.mean:.1f}" + ("" if np.isnan(row.half_width) else f" ± {row.half_width:.1f}")
            _at_end(axis, number, place[row.setting], left=row.mean < low)
        better = "more is better" if metric == "MPSNR" else "less is better"
        axis.set_xlabel(f"difference in {metric} ({unit})\n{better}")
        axis.grid(False, axis="y")
    names = [setting.removesuffix(f" - {against}") for setting in settings]
    shown = [LABELS.get(_model(n), _model(n)) + n.removeprefix(_model(n)) for n in names]
    axes[0].set_yticks(list(place.values()), shown)
    return figure


def quality_against_macs(table: pd.DataFrame, frame: pd.DataFrame, title: str) -> Figure:
    """MPSNR and seconds of training against MACs, a line a family; bars are standard deviations over seeds.

    Of networks far below bicubic stand the numbers, at the lower end.

    table : from `lkca.studies.equal_cost.by_budget`. frame : the study's rows.
    """
    figure, (quality, corrected, seconds) = plt.subplots(1, 3, figsize=(10, 3.2))
    headline(figure, title)
    for model, rows in table.groupby("model", sort=False):
        look = {"color": COLOURS[model], "marker": MARKERS[model], "ms": 5, "label": LABELS[model]}
        quality.errorbar(rows["macs_G"], rows["MPSNR"], rows["MPSNR_sd"].fillna(0), capsize=2, **look)
        corrected.plot(rows["macs_G"], rows["MPSNR_bp"], **look)
        seconds.plot(rows["macs_G"], rows["seconds"], **look)
    lines_to_beat(quality, frame)
    lines_to_beat(corrected, frame[frame["model"] == "back-projection"])
    bicubic = frame.loc[frame["model"] == "bicubic", "MPSNR"].iloc[0]
    for axis, column in ((quality, "MPSNR"), (corrected, "MPSNR_bp")):
        _cut_below(axis, table, column, bicubic - FAR_BELOW)
    quality.set(ylabel="MPSNR (dB)", title="as trained")
    corrected.set(ylabel="MPSNR (dB)", title="with back-projection at test time")
    seconds.set(ylabel="seconds of training", yscale="log", title="cost of training")
    for axis in (quality, corrected, seconds):
        axis.set(xscale="log", xlabel="MACs of a 16x16 LR patch (G)")
        plain_ticks(axis.xaxis)
    plain_ticks(seconds.yaxis)
    figure.legend(*quality.get_legend_handles_labels(), loc="outside right center")
    return figure


def _cut_below(axis: plt.Axes, table: pd.DataFrame, column: str, lowest: float) -> None:
    """End an axis at `lowest` if networks lie below; their values stand there in their colours."""
    if table[column].min() >= lowest:
        return
    axis.set_ylim(lowest, axis.get_ylim()[1])
    below = table[table[column] < lowest].sort_values("macs_G")
    for number, row in enumerate(below.itertuples()):
        look = {"color": COLOURS[row.model], "fontsize": 6, "ha": "center", "va": "bottom"}
        level = 0.02 + 0.055 * (number % 4)  # one above another where they are close
        axis.text(row.macs_G, level, f"{getattr(row, column):.1f} ▾", transform=axis.get_xaxis_transform(), **look)


def training_curves(curves: pd.DataFrame, title: str) -> Figure:
    """Best validation so far against epochs, below the run's own best: a panel a study, a line a run.

    curves : from `lkca.studies.convergence.curves`.
    """
    studies = curves["study"].unique().tolist()
    columns = min(3, len(studies))
    figure, axes = plt.subplots(
        -(-len(studies) // columns), columns, figsize=(10, 0.5 + 2.6 * -(-len(studies) // columns)), squeeze=False
    )
    headline(figure, title)
    for axis, study in zip(axes.flat, studies, strict=False):
        runs = [run for _, run in curves[curves["study"] == study].groupby("run", sort=False)]
        for run in runs:
            best = run["validation"].cummax()
            model = run["model"].iloc[0]
            axis.plot(run["epoch"], best - best.iloc[-1], color=COLOURS[model], lw=0.8, label=LABELS[model])
        axis.set(xscale="log", xlabel="epoch", ylabel="MPSNR below the best (dB)", title=study.replace("_", " "))
        plain_ticks(axis.xaxis)
        lowest = min((run["validation"].iloc[0] - run["validation"].max()) for run in runs)
        axis.set_ylim(max(-1, 1.1 * lowest) - 0.01, 0.03)
    for axis in axes.flat[len(studies) :]:
        axis.remove()
    handles = {}
    for axis in axes.flat[: len(studies)]:
        handles |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(6, len(handles)))
    return figure


def validation_by_epoch(curves: pd.DataFrame, equal: int, title: str) -> Figure:
    """Best validation so far against epochs, a line a run; where equal steps end, and where each run ended.

    curves : columns run, model, epoch, validation (dB). equal : epochs of the studies that compare after equal steps.
    """
    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    headline(figure, title)
    for _, run in curves.groupby("run", sort=False):
        model, best = run["model"].iloc[0], run["validation"].cummax()
        label = "_" if LABELS[model] in axis.get_legend_handles_labels()[1] else LABELS[model]
        axis.plot(run["epoch"], best, color=COLOURS[model], lw=0.9, label=label)
        axis.plot(run["epoch"].iloc[-1], best.iloc[-1], color=COLOURS[model], marker=MARKERS[model], ms=5)
    axis.axvline(equal, color="0.5", ls=":", lw=1, label=f"equal steps: {equal} epochs")
    axis.set(xscale="log", xlabel="epoch of 64 steps", ylabel="best validation MPSNR (dB)")
    plain_ticks(axis.xaxis)
    axis.legend(fontsize=8)
    return figure


def differences_by_epoch(differences: dict[str, pd.DataFrame], title: str) -> Figure:
    """How a difference between two networks comes and goes as both train: a panel a comparison, a thin line a seed.

    differences : from `lkca.studies.referee.differences_by_epoch`, by what is compared.
    """
    columns = min(4, len(differences))
    lines = -(-len(differences) // columns)
    figure, axes = plt.subplots(lines, columns, figsize=(2.6 * columns, 0.6 + 2.2 * lines), squeeze=False)
    headline(figure, title)
    for axis, (name, rows) in zip(axes.flat, differences.items(), strict=False):
        for _, seed in rows.groupby("seed"):
            axis.plot(seed["epoch"], seed["difference"], color="0.65", lw=0.8)
        mean = rows.groupby("epoch")["difference"].mean()
        axis.plot(mean.index, mean, color=STEP_COLOURS[0])
        axis.axhline(0, color="0.2", ls="--", lw=0.9)
        axis.set_title(name, fontsize=8)
        axis.set_xlabel("epoch of 64 steps")
    for axis in axes[:, 0]:
        axis.set_ylabel("difference in\nvalidation MPSNR (dB)")
    for axis in axes.flat[len(differences) :]:
        axis.remove()
    return figure


def _model(setting: str) -> str:
    """The model of "MODEL + bp - OTHER"."""
    return setting.split(" - ")[0].removesuffix(" + bp")


def _without_failures(differences: pd.Series, means: pd.Series) -> tuple[float, float]:
    """Limits that a network which failed on a scene does not stretch: four times the middle half of all dots."""
    low, high = differences.quantile([0.25, 0.75])
    reach = 4 * max(high - low, means.abs().median(), 1e-3)
    left, right = min(0, differences.min()), max(0, differences.max())  # the line to beat is always seen
    return max(left - 0.05 * reach, min(0, low - reach)), min(right + 0.05 * reach, max(0, high + reach))


def _beyond(axis: plt.Axes, dots: pd.Series, y: float) -> None:
    """At an axis' ends, the numbers of what lies beyond them."""
    low, high = axis.get_xlim()
    for left, found in ((True, dots[dots < low]), (False, dots[dots > high])):
        if len(found):
            _at_end(axis, ", ".join(f"{value:.1f}" for value in sorted(found)), y, left)


def _at_end(axis: plt.Axes, numbers: str, y: float, left: bool) -> None:
    """Numbers at the left or right end of an axis, of what lies beyond it."""
    end, side, text = (0, "left", f"◂ {numbers}") if left else (1, "right", f"{numbers} ▸")
    axis.text(axis.get_xlim()[end], y + 0.2, text, ha=side, va="bottom", fontsize=6, color="0.4")


def back_projection_steps(gains: pd.DataFrame, title: str) -> Figure:
    """Mean gain over bicubic against the number of corrections: without noise at every scale, and with noise at x4.

    gains : from `lkca.studies.line_to_beat.gain_by_steps`; bands are 95 % intervals over scenes.
    """
    figure, axes = plt.subplots(2, 2, figsize=(7.6, 5), sharex=True)
    headline(figure, title)
    clean = gains[gains["optics"] == "bicubic"]
    noisy = gains[gains["scale"] == 4]
    for column, (rows, by) in enumerate(((clean, "scale"), (noisy, "optics"))):
        for axis, (metric, unit) in zip(axes[:, column], UNITS.items(), strict=True):
            for (value, line), colour in zip(rows.groupby(by, sort=False), STEP_COLOURS, strict=False):
                axis.plot(line["steps"], line[metric], marker="o", ms=3, color=colour, label=_case(by, value))
                half = line[f"{metric}_half"].fillna(0)
                axis.fill_between(line["steps"], line[metric] - half, line[metric] + half, color=colour, alpha=0.12)
            axis.axhline(0, color=COLOURS["bicubic"], ls="--", lw=1.2)
            axis.axvline(STEPS, color="0.6", lw=0.8)
            axis.set_ylabel(f"change in {metric} ({unit})")
    axes[0, 0].set_title("by scale")
    axes[0, 1].set_title("x4, with noise in the LR image")
    for axis in axes[1]:
        axis.set(
            xlabel=f"corrections (the study takes {STEPS})",
            xscale="symlog",
            xticks=(0, 1, 2, 5, 10, 20),
            xlim=(-0.1, 22),
        )
        axis.set_xticklabels(["0", "1", "2", "5", "10", "20"])
    for axis in axes[0]:
        axis.legend()
    return figure


def _case(by: str, value: object) -> str:
    return f"x{value}" if by == "scale" else {"bicubic": "no noise"}.get(value, str(value).removeprefix("bicubic, "))


def added_to_the_line(added: pd.DataFrame, title: str) -> Figure:
    """What trained networks add to back-projection: filled as trained, open after corrections of their own output.

    added : from `lkca.studies.line_to_beat.added_by_networks`; a row each.
    """
    figure, axis = plt.subplots(figsize=(9, 1.4 + 0.2 * len(added)))
    headline(figure, title)
    places = np.arange(len(added))[::-1]
    low, high = _without_failures(pd.concat([added["added_dB"], added["added_bp_dB"]]), added["added_dB"])
    axis.set_xlim(low, high + 0.03 * (high - low))
    axis.axvline(0, color=COLOURS["back-projection"], ls="--", lw=1.2)
    for place, row in zip(places, added.itertuples(), strict=True):
        look = {"color": COLOURS[row.model], "marker": MARKERS[row.model], "ls": "none", "ms": 5}
        axis.plot(row.added_dB, place, **look)
        axis.plot(row.added_bp_dB, place, **look, mfc="white")
        if row.added_dB < low:
            axis.annotate(f"◂ {row.added_dB:.1f}", (low, place), color=COLOURS[row.model], va="center", fontsize=8)
    names = [f"{row.study.replace('_', ' ')}, x{row.scale}: {LABELS[row.model]}" for row in added.itertuples()]
    axis.set_yticks(places, names)
    axis.set_xlabel("MPSNR above back-projection (dB)\nopen: its own output corrected as well")
    axis.grid(False, axis="y")
    return figure
