"""How good is each network for what it costs? (Tables V-VII and Figures 6-8)"""

import itertools
from collections.abc import Mapping, Sequence

import pandas as pd

from lkca.metrics import METRICS
from lkca.models import BASELINES, MODELS
from lkca.paper.printed import network_tables, paper_costs
from lkca.run import Run
from lkca.studies import Study
from lkca.studies.profile import Profile, load_profile

COMPARED = tuple(name for name, model in MODELS.items() if model.of_paper or name in BASELINES)


def _runs(profile: Profile, section: Mapping) -> list[Run]:
    """Return every model on every case (dataset and scale); only the repeated cases have all seeds."""
    cases = section.get("cases", [])
    return [
        profile.run(model, seed, dataset=dataset, scale=scale)
        for dataset, scale in cases
        for model in section.get("models", COMPARED)
        for seed in profile.seeds_of(model)
        if seed == profile.seeds[0] or [dataset, scale] in section.get("repeated", cases)
    ]


STUDY = Study("benchmark", "How good is each network for what it costs? (Tables V-VII)", _runs)
VISUAL = Study(
    "visual",
    "Where, and at which wavelengths, is one network better than another? (Figures 6-8)",
    reads=("benchmark",),
    needs_weights=True,
)


def cases(profile: str, dataset: str = "", scale: int = 0) -> list[tuple[str, int]]:
    """Return the (dataset, scale) pairs of a profile, or those of one dataset or scale.

    A dataset that the profile lacks is paired with all its scales; a scale that it lacks, with all its datasets.
    """
    scales: dict[str, list[int]] = {}
    for name, number in (load_profile(profile).section("benchmark") or {}).get("cases", []):
        scales.setdefault(name, []).append(number)
    every = list(dict.fromkeys(itertools.chain(*scales.values())))
    datasets = [dataset] if dataset else scales
    return [(name, number) for name in datasets for number in ([scale] if scale else scales.get(name, every))]


def case_runs(profile: str, dataset: str, scale: int, models: Sequence[str] = ()) -> list[Run]:
    """Return the runs of one case. models : by default those of the profile."""
    chosen = load_profile(profile)
    section = {**(chosen.section("benchmark") or {}), "cases": [[dataset, scale]]}
    return _runs(chosen, section | {"models": models} if models else section)


def paper_case(dataset: str, scale: int) -> pd.DataFrame | None:
    """Return the paper's rows of a dataset and scale, with the misprinted costs corrected; None if it has none."""
    tables = network_tables().drop(columns=["params_M", "macs_G"])
    tables = tables.merge(paper_costs(), how="left", on=["dataset", "scale", "model"])
    rows = tables[(tables["dataset"] == dataset) & (tables["scale"] == scale)].reset_index(drop=True)
    return rows[["model", "params_M", "macs_G", *METRICS]] if len(rows) else None
