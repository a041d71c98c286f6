"""results/README.md: every table of results/ on one page, and what follows from their numbers; the README's verdicts.

Written from the files alone by `python -m lkca results`, and at the end of every batch, so that no number on the page
is typed by hand.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pandas as pd

from lkca.paths import project_root, results_folder, write_text
from lkca.studies.profiles import PROFILES
from lkca.tables import DISTILLED, FULL

HEADING = """# Results

Written by `python -m lkca results` from the files in this folder; do not edit. Each table is also there as CSV and
LaTeX. MPSNR is in dB, SAM in degrees; "±" behind a mean is the standard deviation over seeds, behind a difference half
the 95 % interval of paired differences."""

# Between these two lines of README.md the verdicts stand.
BEGIN, END = "<!-- verdicts: written by `python -m lkca results` -->", "<!-- end of the verdicts -->"

# What the files are about, by the beginning of their names; the others bear their names.
TITLES = {
    "table_1_blocks": "Table I: the number of blocks",
    "table_2_decay": "Table II: the decay of the distillation",
    "table_3_weight": "Table III: the weight of the distillation",
    "table_4_terms": "Table IV: the terms of the distillation",
    "table_5_to_7": "Tables V-VII: the networks",
    "figure_4_ranks": "Figure 4: how many singular values hold 90, 95 and 99 % of their sum",
    "regions": "Every region tests once",
    "upsamplers_elsewhere": "Upsamplers in other networks",
    "upsamplers": "Upsamplers of LKCA-Net",
    "any_sensor": "One network for every sensor",
    "back_projection_steps": "Bicubic with back-projection, step by step",
    "line_to_beat": "What trained networks add to back-projection",
    "convergence": "Runs that were stopped while rising",
    "until_flat": "Trained until validation stops rising",
    "equal_cost": "Families of networks at equal cost",
}
FIRST = {  # tables above all profiles
    "verdicts": "Verdicts",
    "referee": "Is it more than the seed, the training time, back-projection, the scene?",
}
FOLDERS = {  # beside those of the profiles
    "quickstart": "Quickstart: one network against bicubic",
    "your_scene": "Your scene, on a made one",
    "cost": "Costs",
    "check_data": "Check of planted data",
}
DIFFERENCES = ("MPSNR", "SAM")  # the metrics whose differences are shown; the CSVs have all
ONLY_LINKED = ("cost", "check_data")  # long tables
MEASURED = {  # CSVs of `make benchmark`: what to show of them
    "bench_targets": ("What was aimed at", ("target", "aim", "measured", "reached", "bounded by")),
    "bench_inference": (
        "One image through LKCA-LR",
        ("way", "size", "milliseconds", "faster than torch's own", "faster than ESSAformer", "of the matrix rate"),
    ),
    "bench_layers": (
        "Layer by layer",
        ("model", "layer", "times", "MMACs", "MB", "milliseconds", "of the matrix rate", "of the copy rate", "bound"),
    ),
    "bench_inference_scene": (
        "A scene from file to file",
        ("way", "scene", "result", "seconds", "times LKCA-LR", "memory_GB", "peak_GB"),
    ),
    "bench_precision": (
        "A step of training in bfloat16",
        ("model", "channels", "blocks", "batch", "float32 ms", "bfloat16 ms", "times as many steps"),
    ),
    "bench_precision_quality": (
        "MPSNR after equally many steps",
        ("model", "seed", "steps", "bicubic", "float32", "bfloat16", "difference"),
    ),
    "bench_training": ("Training", ("what", "seconds", "GMAC/s", "ratio", "of")),
    "bench_groups": (
        "Band groups together or in a loop",
        ("model", "batch", "size", "loop_ms", "together_ms", "ratio"),
    ),
}


def write_results_page() -> Path:
    """Write results/README.md, and the verdicts into the project's README where these results are its own; the path."""
    folder = results_folder()
    write_text(folder / "README.md", results_page(folder))
    readme = project_root() / "README.md"
    if folder.resolve() == readme.with_name("results").resolve() and (folder / "verdicts.csv").is_file():
        write_text(readme, with_verdicts(readme.read_text(encoding="utf-8"), folder))
    return folder / "README.md"


def with_verdicts(readme: str, folder: Path) -> str:
    """The text of the README with the verdicts in `folder` between their two marks."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"README.md lacks one of the lines {BEGIN!r} and {END!r}, between which the verdicts stand")
    table = pd.read_csv(folder / "verdicts.csv", keep_default_na=False).to_markdown(index=False, tablefmt="pipe")
    lines = [
        re.sub(r" {2,}|-{4,}", lambda found: found[0][: 3 if found[0][0] == "-" else 1], line)
        for line in table.split("\n")
    ]
    return "\n".join([before + begin, *lines, end + after])


def results_page(folder: Path) -> str:
    """The page of the results in `folder`, as Markdown."""
    parts = [HEADING]
    for name, heading in FIRST.items():
        if (folder / f"{name}.md").is_file():
            parts += [f"## {heading}", (folder / f"{name}.md").read_text(encoding="utf-8").strip()]
    for name in (*reversed(PROFILES), *FOLDERS):
        tables = sorted((folder / name).glob("*.md"))
        if not tables:
            continue
        parts.append(f"## {f'Profile `{name}`' if name in PROFILES else FOLDERS[name]}")
        if name in PROFILES:
            about = PROFILES[name].title
            parts.append(f"{about[0].upper()}{about[1:]}. Figures: [figures/{name}](../figures/{name}).")
        if name in ONLY_LINKED:
            parts.append("\n".join(f"- [{table.stem.replace('_', ' ')}]({name}/{table.name})" for table in tables))
            continue
        for table in tables:
            parts += [f"### {title(table.stem)}", compact(table), *sentences(table)]
    return "\n\n".join([*parts, *speed(folder)]) + "\n"


def compact(table: Path) -> str:
    """The table as it stands; one of differences, a row a setting and metric, with a row a setting and two metrics."""
    frame = pd.read_csv(table.with_suffix(".csv"))
    if not {"setting", "metric", "mean", "half_width"} <= set(frame):
        return table.read_text(encoding="utf-8").strip()
    shown = pd.DataFrame(index=frame["setting"].unique())
    for metric, rows in frame[frame["metric"].isin(DIFFERENCES)].groupby("metric"):
        rows = rows.set_index("setting")
        shown[metric] = [f"{row['mean']:+.3f}{_interval(row['half_width'])}" for _, row in rows.iterrows()]
    return shown.to_markdown(disable_numparse=True)


def title(stem: str) -> str:
    """A table's heading: what it is about, and what its name says beyond that."""
    known = next((beginning for beginning in TITLES if stem.startswith(beginning)), None)
    if known is None:
        return stem.replace("_", " ")
    rest = stem.removeprefix(known).replace("_", " ").replace(" table", "").strip()
    return f"{TITLES[known]}{f' ({rest})' if rest else ''}"


def sentences(table: Path) -> Iterator[str]:
    """What follows from a table and the files beside it, as lists."""
    for stem, say in SAYINGS.items():
        if table.stem.startswith(stem) and (lines := list(say(table))):
            yield "\n".join(f"- {line}" for line in lines)


def over_bicubic(table: Path) -> Iterator[str]:
    """How far each network lies above bicubic."""
    frame = pd.read_csv(table.with_suffix(".csv")).set_index("model")["MPSNR"]
    if "bicubic" in frame:
        gains = ", ".join(f"{name} {value:+.3f}" for name, value in (frame - frame["bicubic"]).items() if value)
        yield f"Over bicubic ({frame['bicubic']:.3f} dB): {gains} dB."


def upsamplers(table: Path) -> Iterator[str]:
    """What distillation wins back, and what a truncation keeps."""
    differences = table.with_name("upsamplers_differences.csv")
    if differences.is_file():
        frame = pd.read_csv(differences)
        means = frame[frame["metric"] == "MPSNR"].set_index("setting")["mean"]
        gain, lost = means.get(f"grouped{DISTILLED}"), means.get(FULL)
        if gain is not None and lost is not None and lost > 0:
            yield f"Distillation wins back {100 * gain / lost:.0f} % of what grouping costs."
    truncation, quality = table.with_name("upsamplers_truncation.csv"), table.with_name("upsamplers.csv")
    if truncation.is_file() and quality.is_file():
        yield from _truncation(pd.read_csv(truncation), pd.read_csv(quality))


def _truncation(frame: pd.DataFrame, runs: pd.DataFrame) -> Iterator[str]:
    """frame : the cuts of several seeds; what is said is the mean over those that were cut to the same ranks."""
    bicubic = runs.loc[runs["model"] == "bicubic", "MPSNR"]
    seeds, full_rank = frame["run"].nunique(), frame["k"].max()
    means = frame.groupby("k").mean(numeric_only=True)[frame.groupby("k").size() == seeds]
    whole = means["cut_MPSNR"].iloc[-1]
    if bicubic.empty or whole <= bicubic.iloc[0]:
        return
    kept = (means["cut_MPSNR"] - bicubic.iloc[0]) / (whole - bicubic.iloc[0])
    enough = means[kept >= 0.95].iloc[0]
    over = f" (means of {seeds} seeds)" if seeds > 1 else ""
    yield (
        f"The trained full upsampler cut to rank {enough.name:.0f} of {full_rank:.0f} keeps "
        f"{100 * kept[enough.name]:.0f} % of its gain over bicubic; those singular values hold "
        f"{100 * enough['share']:.0f} % of the sum of all, and 90 % of the sum takes {enough['k90']:.0f}{over}."
    )
    if (budget := frame["budget"].iloc[0]) in means.index:
        lost = whole - means.loc[budget, "cut_MPSNR"]
        yield f"At LKCA-LR's cost (rank {budget:.0f}) the cut loses {lost:.3f} dB."


def _interval(half_width: float) -> str:
    return f" ± {half_width:.3f}" if pd.notna(half_width) else ""


# A table by the beginning of its name, and what is said below it.
SAYINGS: dict[str, Callable[[Path], Iterable[str]]] = {
    "table_5_to_7": over_bicubic,
    "upsamplers_table": upsamplers,
}


def speed(folder: Path) -> Iterator[str]:
    """How long it takes: the ratios of the notebook `speed` and what `make benchmark` wrote."""
    tables = [folder / "speed" / "cpu-ratios.md", folder / "speed" / "cuda-ratios.md"]
    measured = {name: folder / f"{name}.csv" for name in MEASURED}
    if not any(path.is_file() for path in (*tables, *measured.values())):
        return
    yield "## Speed"
    for path in tables:
        if path.is_file():
            yield f"### How many times LKCA-KD is faster ({path.stem.partition('-')[0]})"
            yield path.read_text(encoding="utf-8").strip()
    for name, path in measured.items():
        if not path.is_file():
            continue
        heading, columns = MEASURED[name]
        frame = pd.read_csv(path)
        on = ", ".join(f"{frame[c].iloc[-1]}" for c in ("cpu", "hardware") if c in frame)
        yield f"### {heading} ({on}, {frame['threads'].iloc[-1]} threads)"
        frame = frame[[c for c in columns if c in frame]].map(lambda v: f"{v:.4g}" if isinstance(v, float) else v)
        yield frame.replace("nan", "").to_markdown(index=False, disable_numparse=True)
