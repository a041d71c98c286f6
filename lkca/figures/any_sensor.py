"""Figures of the study `any_sensor`: gains scene by scene, against k, through other optics, and where they fail.

A function here takes tables and arrays and returns a `matplotlib` figure; nothing here measures.
"""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lkca.figures.pictures import Cube, band_axis, bare, pixel_error
from lkca.figures.style import COLOURS, LABELS, MARKERS, UNITS, headline

# Methods as the study's table names them; the two kinds of weights are of one model, so another shade tells them apart.
COLOUR = {"lkca-any, made": COLOURS["lkca-any"], "lkca-any, real": "#882255"}
LABEL = {"lkca-any, made": "LKCA-Any, weights of made scenes", "lkca-any, real": "LKCA-Any, sensor left out"}
MARKER = {"lkca-any, made": MARKERS["lkca-any"], "lkca-any, real": "D"}
SENSOR_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#44AA99", "#332288", "#999933")


def gain_per_scene(gains: pd.DataFrame, title: str, sorted_by: str = "lkca-any, made") -> Figure:
    """Gain in MPSNR over bicubic, a line a scene: every method's dot, sorted by one of them; sensors in colour.

    gains : from `verdict.gains`, at one scale, one row a scene and method.
    """
    order = gains[gains["method"] == sorted_by] if sorted_by in set(gains["method"]) else gains
    scenes = order.groupby("scene")["MPSNR"].max().sort_values().index.tolist()
    sensors = gains.drop_duplicates("scene").set_index("scene")["sensor"]
    colours = dict(zip(sensors.unique(), SENSOR_COLOURS * len(sensors), strict=False))
    figure, axis = plt.subplots(figsize=(7.2, 1.3 + 0.235 * len(scenes)))
    place = {scene: y for y, scene in enumerate(scenes)}
    ends = gains.groupby("scene")["MPSNR"].agg(["min", "max"])
    axis.hlines(
        [place[s] for s in ends.index], ends["min"].clip(upper=0), ends["max"].clip(lower=0), color="0.85", zorder=1
    )
    for method, rows in gains.groupby("method", sort=False):
        axis.plot(rows["MPSNR"], rows["scene"].map(place), ls="none", zorder=3, **_look(method), ms=6)
    axis.axvline(0, color=COLOURS["bicubic"], ls="--", lw=1.2, label=LABELS["bicubic"])
    axis.set_yticks(range(len(scenes)), [f"{scene}  ({sensors[scene]})" for scene in scenes])
    for label, scene in zip(axis.get_yticklabels(), scenes, strict=True):
        label.set_color(colours[sensors[scene]])
    axis.set(xlabel="gain in MPSNR over bicubic (dB)", ylim=(-0.7, len(scenes) - 0.3))
    axis.grid(False, axis="y")
    headline(figure, title)
    figure.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _look(method: str) -> dict[str, str]:
    return {
        "color": COLOUR.get(method) or COLOURS[method],
        "marker": MARKER.get(method) or MARKERS[method],
        "label": LABEL.get(method) or LABELS[method],
    }


def mean_gains(means: pd.DataFrame, title: str) -> Figure:
    """Mean gain over bicubic at every scale, with its 95 % interval over scenes: MPSNR and the spectral angle.

    means : from `verdict.intervals` by scale and method.
    """
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 2.9))
    scales = sorted(means["scale"].unique())
    methods = means["method"].unique()
    for axis, (metric, unit) in zip(axes, UNITS.items(), strict=True):
        axis.axhline(0, color=COLOURS["bicubic"], ls="--", lw=1.2)
        for number, method in enumerate(methods):
            rows = means[(means["metric"] == metric) & (means["method"] == method)]
            x = [scales.index(s) + 0.16 * (number - (len(methods) - 1) / 2) for s in rows["scale"]]
            axis.errorbar(x, rows["mean"], rows["half_width"].fillna(0), ls="none", capsize=3, **_look(method))
        better = "more is better" if metric == "MPSNR" else "less is better"
        axis.set_xticks(range(len(scales)), [f"x{scale}" for scale in scales])
        axis.set(ylabel=f"change in {metric} ({unit})", title=better, xlim=(-0.5, len(scales) - 0.5))
    headline(figure, title)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def against_directions(means: pd.DataFrame, projection: Mapping[str, float], title: str) -> Figure:
    """Mean gain over bicubic against the number k of directions that are sharpened, with its interval over scenes.

    means : from `verdict.by_directions`. projection : back-projection's mean gain by metric, which k = 0 would be near.
    """
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 2.8))
    for axis, (metric, unit) in zip(axes, UNITS.items(), strict=True):
        rows = means[means["metric"] == metric]
        axis.errorbar(
            rows["directions"], rows["mean"], rows["half_width"].fillna(0), capsize=3, **_look("lkca-any, made")
        )
        axis.axhline(projection[metric], color=COLOURS["back-projection"], lw=1.2, label=LABELS["back-projection"])
        axis.axhline(0, color=COLOURS["bicubic"], ls="--", lw=1.2, label=LABELS["bicubic"])
        axis.set_xscale("log", base=2)
        axis.set_xticks(rows["directions"], [f"{k}" for k in rows["directions"]])
        axis.set(xlabel="spectral directions k", ylabel=f"change in {metric} ({unit})")
    headline(figure, title)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def against_scenes(
    means: pd.DataFrame, lines: pd.DataFrame, other_sensors: Mapping[str, float] | None, title: str
) -> Figure:
    """Mean gain over bicubic against the number of made scenes that trained, with its interval over scenes.

    means : from `verdict.by_training_set`. lines : from `verdict.intervals` by method, of back-projection and of the
        weights in the box, which are lines. other_sensors : the mean gain by metric where real scenes trained as well.
    """
    figure, axes = plt.subplots(1, 2, figsize=(7.2, 3.0))
    counts = sorted(means["made_scenes"].unique())
    for axis, (metric, unit) in zip(axes, UNITS.items(), strict=True):
        rows = means[means["metric"] == metric]
        place = rows["made_scenes"].map(counts.index)
        look = _look("lkca-any, made") | {"label": "LKCA-Any, trained equally long"}
        axis.errorbar(place, rows["mean"], rows["half_width"].fillna(0), capsize=3, **look)
        if other_sensors is not None:
            look = _look("lkca-any, real") | {"label": "real scenes of other sensors as well"}
            axis.plot(len(counts) - 1, other_sensors[metric], ls="none", **look)
        known = lines[lines["metric"] == metric].set_index("method")["mean"]
        axis.axhline(
            known["back-projection"], color=COLOURS["back-projection"], lw=1.2, label=LABELS["back-projection"]
        )
        if "lkca-any, made" in known:
            axis.axhline(known["lkca-any, made"], color=COLOUR["lkca-any, made"], ls=":", lw=1.2, label="in the box")
        axis.axhline(0, color=COLOURS["bicubic"], ls="--", lw=1.2, label=LABELS["bicubic"])
        axis.set_xticks(range(len(counts)), ["no end" if np.isinf(n) else f"{n:.0f}" for n in counts])
        axis.set(xlabel="made scenes that trained", ylabel=f"change in {metric} ({unit})")
    headline(figure, title)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def optics_map(means: pd.DataFrame, title: str) -> Figure:
    """Heat maps: mean gain over bicubic of the same LR image, optics against methods, MPSNR and spectral angle.

    means : from `verdict.by_optics`. In brackets: on how many scenes it is worse than bicubic.
    """
    figure, axes = plt.subplots(1, 2, figsize=(7.6, 1.4 + 0.32 * means["optics"].nunique()), sharey=True)
    short = {
        "back-projection": "back-projection",
        "lkca-any, made": "LKCA-Any, made",
        "lkca-any, real": "LKCA-Any, real",
    }
    for axis, (metric, unit) in zip(axes, UNITS.items(), strict=True):
        rows = means[means["metric"] == metric]
        table = rows.pivot_table("mean", "optics", "method", sort=False)
        worse = (rows["scenes"] - rows["better"]).to_numpy()
        notes = rows.assign(
            note=[f"{m:+.2f}" + (f" ({n})" if n else "") for m, n in zip(rows["mean"], worse, strict=True)]
        )
        notes = notes.pivot(index="optics", columns="method", values="note").loc[table.index, table.columns].fillna("")
        limit = float(np.nanmax(np.abs(table.to_numpy())))
        colours = "RdBu" if metric == "MPSNR" else "RdBu_r"
        sns.heatmap(
            table.rename(columns=short), annot=notes, fmt="", cmap=colours, vmin=-limit, vmax=limit, ax=axis,
            linewidths=1, annot_kws={"size": 8}, cbar_kws={"label": f"change in {metric} ({unit})"},
        )  # fmt: skip
        axis.set(xlabel="", ylabel="", title=f"{metric}; blue is better than bicubic")
        axis.tick_params(axis="x", rotation=0)
        axis.tick_params(length=0)
    headline(figure, title)
    return figure


def where_it_fails(bands: Mapping[str, tuple[NDArray | None, NDArray]], title: str) -> Figure:
    """Gain over bicubic band by band: the scenes where it is least.

    bands : scene -> wavelengths (B,) or None, gain in PSNR (B,) in dB.
    """
    figure, axes = plt.subplots(1, len(bands), figsize=(2.6 * len(bands) + 0.6, 2.7), sharey=True, squeeze=False)
    for axis, (scene, (wavelengths, gain)) in zip(axes[0], bands.items(), strict=True):
        x = band_axis(len(gain), wavelengths)
        axis.plot(x, gain, ".", ms=3, color=COLOUR["lkca-any, made"])
        axis.axhline(0, color=COLOURS["bicubic"], ls="--", lw=1.2)
        axis.set(xlabel="band" if wavelengths is None else "wavelength (nm)")
        axis.set_title(f"{scene}\nworse in {np.mean(gain < 0):.0%} of {len(gain)} bands")
    axes[0, 0].set_ylabel("gain in PSNR (dB)")
    headline(figure, title)
    return figure


def better_and_worse(images: Mapping[str, tuple[Cube, Cube, Cube]], title: str) -> Figure:
    """Where in the image the network is nearer to the truth than bicubic (blue) and where farther (red).

    images : scene -> truth, bicubic, network.
    """
    figure, axes = plt.subplots(1, len(images), figsize=(2.6 * len(images) + 0.6, 2.7), squeeze=False)
    for axis, (scene, (truth, bicubic, network)) in zip(axes[0], images.items(), strict=True):
        change = pixel_error(network, truth) - pixel_error(bicubic, truth)
        limit = float(np.percentile(np.abs(change), 99.5))
        shown = axis.imshow(change, cmap="RdBu_r", vmin=-limit, vmax=limit)
        bare(axis, f"{scene}: better at {np.mean(change < 0):.0%} of pixels")
        figure.colorbar(shown, ax=axis, shrink=0.75, pad=0.02)
    headline(figure, title)
    return figure
