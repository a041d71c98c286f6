"""Write results/paper-beside-ours.md: the paper's numbers with ours beside them, as Markdown."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import pandas as pd

from lkca.files import figures_folder
from lkca.metrics import METRICS
from lkca.paper.beside import (
    DISTILLED,
    GAINS,
    OURS,
    SHOWN,
    Comparison,
    agreement,
    comparisons,
    measured,
    ours_of,
)
from lkca.paper.evidence import MARGIN, Criteria, by_seed, difference, ranks_of_90, read_results, select, unfit
from lkca.paper.printed import COSTS, SINGULAR_VALUES, SINGULAR_VALUES_OF, TABLES, TITLES, WEIGHT, printed_table
from lkca.paper.rules import CONFIRMED, OPEN
from lkca.paper.verdicts import Verdict

UNITS = {"MPSNR": "dB", "SAM": "degrees", "params_M": "M", "macs_G": "G MACs"}
COLUMNS = ("paper", *(f"ours at `{profile}`" for profile in SHOWN), "unit and n", "verdict")
ABOUT = {
    "I": "number of blocks N (Chikusei x4)",
    "II": "decay of the distillation (Chikusei x4)",
    "III": "weight λ of the distillation (Chikusei x4)",
    "IV": "terms of the distillation loss (Chikusei x4)",
    "V": "networks on Chikusei",
    "VI": "networks on Houston 2018",
    "VII": "networks on Pavia Centre",
}
FIGURES = {
    "1": "The upsampler's share of parameters and MACs. The paper's numbers were not recovered; "
    "[ours](cost/figure_1_upsampler_share.csv) are computed.",
    "2": "The network, drawn from its PyTorch modules.",
    "3": "The large-kernel block, drawn from its PyTorch modules.",
    "4": "The upsampler's singular values.",
    "5": "The upsampling layer, drawn from its PyTorch modules.",
    "6": "All methods on Chikusei, with a zoomed box. The dataset is missing here, so another scene is shown.",
    "7": "All methods on Houston 2018, with a zoomed box. The dataset is missing here.",
    "8": "All methods on Pavia Centre, with a zoomed box. The dataset is missing here.",
}
HEADING = f"""# The paper's numbers beside ours

Generated from `results/` by `lkca results`; do not edit. The [rules](../docs/verdicts.md) define the verdicts.

Our scenes are not the paper's, so quality is compared in *differences* of MPSNR, always paired. Costs are computed at
the paper's sizes. `cpu` tests on one of four small AVIRIS scenes, or on many small real scenes (study `scenes`), after
short training. `converged` tests on synthetic scenes; `evidence` tests on 64 synthetic scenes, with more seeds. After a
difference, ± is half the width of its 95 % t-interval; after a mean, it is the standard deviation over seeds. A
difference whose interval lies within ±{MARGIN} dB is a tie."""


def beside_page(found: Sequence[Verdict]) -> str:
    """Return the page. found : the verdicts on all claims."""
    parts = [HEADING, "## Claims", claims_table(found), *(_claim(verdict) for verdict in found)]
    parts += ["## Differences on one axis", _pictures("differences_beside_paper"), _differences(OURS)]
    for number, about in ABOUT.items():
        title = TITLES[printed_table(TABLES[number])["dataset"].iloc[0]]
        differences = _differences(GAINS if number in ("V", "VI", "VII") else number, title)
        rows = list(_printed_rows(number))
        summary = f"<details><summary>Every printed number: {len(rows)} rows</summary>"
        parts += [f"## Table {number}: {about}", differences, summary, markdown(("", *COLUMNS), rows), "</details>"]
    for number, about in FIGURES.items():
        table = _singular_values() if number == "4" else ""
        parts += [f"## Figure {number}", about, table, _pictures(f"figure_{number}_*")]
    return "\n\n".join(part for part in parts if part) + "\n"


def claims_table(found: Sequence[Verdict]) -> str:
    """Return a table with a row for each claim: the paper's number, ours, unit and n, verdict."""
    rows = []
    for verdict in found:
        cells = ["; ".join(e.headline for e in verdict.evidence if e.profile == p) or "-" for p in SHOWN]
        unit = verdict.deciding.unit if verdict.deciding else "-"
        claim = f"[{verdict.name}](#claim-{verdict.name}). {verdict.claim.says}"
        rows.append((claim, verdict.claim.number, *cells, unit, f"**{verdict.word}**"))
    return markdown(("claim", *COLUMNS), rows)


def _claim(verdict: Verdict) -> str:
    claim = verdict.claim
    lines = [
        f"### Claim {verdict.name}",
        f"The claim, as recovered: *{claim.says}* ({claim.place}). Verdict: **{verdict.word}**.",
        f"The printed numbers alone: {claim.word}. {claim.detail}",
    ]
    for found in verdict.evidence:
        items = [*found.numbers, f"back-projected: {found.back_projected}"]
        items += [f"decides nothing: {'; '.join(found.reasons)}"] if found.reasons else []
        items += [f"a referee would still ask about: {'; '.join(found.asks)}"] if found.asks else []
        lines.append(f"[{found.table}.csv]({found.table}.csv), {found.unit}: **{found.word}**")
        lines.append("\n".join(f"- {item}" for item in items))
    return "\n\n".join(lines if verdict.evidence else [*lines, "No table of ours yet."])


def _differences(group: str, title: str = "") -> str:
    """Return the differences of a group, and below them the reasons why tables of ours decide nothing.

    title : show only the printed cases of this dataset; all by default.
    """
    rows, notes = [], {}
    for comparison in (c for c in comparisons() if c.group == group):
        gains = {case: gain for case, gain in comparison.printed.items() if case.startswith(title)}
        printed = "; ".join(f"{case} {gain:+.4f}" for case, gain in gains.items())
        rows.append((comparison.name, printed, *_ours(comparison, gains, notes)))
    lines = [f"- `{name}` decides nothing: {'; '.join(reasons)}" for name, reasons in notes.items() if reasons]
    if group == "III":
        lines += _best_of_weights()
    return "\n\n".join((markdown(("difference in MPSNR", *COLUMNS), rows), "\n".join(lines))).strip()


def _ours(comparison: Comparison, gains: Mapping[str, float], notes: dict[str, list[str]]) -> tuple[str, ...]:
    """Return our cells of a comparison; add to `notes` the reasons why a table decides nothing."""
    cells, units, words = [], [], []
    for profile in SHOWN:
        found = list(measured(comparison, profile))
        cells.append("; ".join(f"{part}, {part.outcome} (`{study}`)" for study, part in found) or "-")
        units.append(", ".join(part.counted for _, part in found) or "-")
        for study, part in found:
            name = f"{profile}/{study}"
            if name not in notes:
                notes[name] = unfit(read_results(name), profile, study)
            words.append(OPEN if notes[name] else agreement(gains.values(), part))
    return *cells, f"dB; {'; '.join(units)}", next((word for word in words if word != OPEN), OPEN)


def _best_of_weights() -> Iterator[str]:
    """Yield for each profile the best weight λ against LKCA-LR, with the interval corrected for the choice."""
    weights, plain = printed_table(WEIGHT)["kd_weight"], {"model": "lkca-lr", "scale": 4}
    for profile in SHOWN:
        frame = read_results(f"{profile}/distillation")
        if frame is None:
            continue
        gains = {weight: by_seed(frame, {**DISTILLED, "kd_weight": weight}, plain) for weight in weights}
        gains = {weight: found for weight, found in gains.items() if len(found)}
        if not gains:
            continue
        best = max(gains, key=lambda weight: gains[weight].mean())
        found = difference(gains[best], "seeds", comparisons=len(gains))
        yield (
            f"- `{profile}`: the best of {len(gains)} weights, λ = {best:g}, minus LKCA-LR: {found} dB, "
            f"{found.counted}, {found.outcome} after Bonferroni's correction"
        )


def _printed_rows(number: str) -> Iterator[Sequence[str]]:
    """Yield a row for every printed number of a table."""
    for _, printed in printed_table(TABLES[number]).iterrows():
        label, criteria, studies = ours_of(printed)
        costs = _computed_costs(number, printed)
        ours = [_runs(profile, studies, criteria) for profile in SHOWN]
        for metric in (name for name in (*COSTS, *METRICS) if name in printed and pd.notna(printed[name])):
            unit = UNITS.get(metric, "no unit")
            if metric in COSTS:
                value, computed = f"{printed[metric]:.3f}", "-" if costs.empty else f"{costs[metric].iloc[0]:.3f}"
                swapped = "misprint_corrected" in costs and costs["misprint_corrected"].any()
                word = "misprint" if swapped else CONFIRMED if computed == value else OPEN
                cells, unit = [computed] * len(SHOWN), f"{unit}; computed at the paper's size"
            else:
                cells, counts = zip(*(_mean(rows, metric) for rows in ours), strict=True)
                value, unit, word = f"{printed[metric]:.4f}", f"{unit}; seeds {', '.join(counts)}", OPEN
            yield f"{label}: {metric}", value, *cells, unit, word


def _computed_costs(number: str, printed: pd.Series) -> pd.DataFrame:
    """Return our costs for a printed row, as a table of one row; empty if there are none."""
    costs = read_results("cost/table_1_costs" if number == "I" else "cost/table_5_to_7_costs")
    keys = ["blocks"] if number == "I" else ["dataset", "scale", "model"]
    if costs is None or "params_M" not in printed:
        return pd.DataFrame()
    return costs[(costs[keys] == printed[keys]).all(axis=1)]


def _runs(profile: str, studies: Sequence[str], criteria: Criteria) -> pd.DataFrame | None:
    """Return the longest-trained of the selected runs, from the first study that has any; None if none has."""
    for study in studies:
        frame = read_results(f"{profile}/{study}")
        if frame is not None and len(rows := select(frame, criteria)):
            return rows[rows["epochs"] == rows["epochs"].max()]
    return None


def _mean(rows: pd.DataFrame | None, metric: str) -> tuple[str, str]:
    """Return the mean ± standard deviation over seeds, and the number of seeds."""
    if rows is None:
        return "-", "-"
    spread = f" ± {rows[metric].std():.4f}" if len(rows) > 1 else ""
    return f"{rows[metric].mean():.4f}{spread}", str(len(rows))


def _singular_values() -> str:
    cells = []
    for profile in SHOWN:
        ranked = ranks_of_90(profile)
        rows = ranked[ranked["kind"].isin(("trained", "untrained", "grouped"))].itertuples()
        cells.append(", ".join(f"{r.kind} {r.rank} of {r.values} ({r.rank / r.values:.1%})" for r in rows) or "-")
    total = SINGULAR_VALUES_OF
    rows = [
        (f"{TITLES[name]}: values that hold 90 % of the sum", f"about {count} of {total} ({count / total:.1%})",
         *cells, "share of values; one seed", OPEN)
        for name, count in SINGULAR_VALUES.items()
    ]  # fmt: skip
    return markdown(("", *COLUMNS), rows)


def _pictures(pattern: str) -> str:
    """Return a line of links to the pictures of that name, except those of `quick`; "" if there are none."""
    root = figures_folder()
    found = [path.relative_to(root) for path in sorted(root.rglob(f"{pattern}.png"))]
    links = [f"[{path.parent}](../figures/{path.as_posix()})" for path in found if "quick" not in path.parts]
    return f"Pictures: {', '.join(links)}." if links else ""


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
