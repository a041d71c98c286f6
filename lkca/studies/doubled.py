"""Have the networks converged? Some networks of other studies are trained again for twice as long.

Twice as long means twice the patience of early stopping, and at most twice the epochs. A network that gains more than
0.02 dB from that had not converged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from lkca.checkpoints import load_result
from lkca.run import Run
from lkca.studies import Study, find_study
from lkca.studies.collect import finished
from lkca.studies.profile import Profile


def _pairs(profile: Profile, section: Sequence[Mapping]) -> list[tuple[str, Run, Run]]:
    """Return for each chosen run its study, the run, and the same run trained twice as long."""
    pairs = []
    for chosen in section:
        options = {**(profile.lkca if chosen["model"].startswith("lkca") else {}), **chosen.get("options", {})}
        for run in find_study(chosen["study"]).runs_at(profile):
            same = run.model == chosen["model"] and run.seed in chosen["seeds"]
            same = same and run.variant in chosen.get("variants", [run.variant])
            if same and options.items() <= run.options.items():
                pairs.append((chosen["study"], run, replace(run, epochs=2 * run.epochs, patience=2 * run.patience)))
    return pairs


def _runs(profile: Profile, section: Sequence[Mapping]) -> list[Run]:
    return [longer for *_, longer in _pairs(profile, section)]


def gains(profile: Profile, runs: Sequence[Run]) -> pd.DataFrame:
    """Return what each network gains: run (the longer one), study, model, seed, gain_dB, epochs, longer_epochs."""
    rows = []
    for study, run, longer in _pairs(profile, profile.section("doubled")):
        if longer in runs and finished(run):
            once, twice = load_result(run), load_result(longer)
            gain = twice.metrics["MPSNR"] - once.metrics["MPSNR"]
            rows.append((longer.name, study, run.model, run.seed, gain, len(once.history), len(twice.history)))
    return pd.DataFrame(rows, columns=["run", "study", "model", "seed", "gain_dB", "epochs", "longer_epochs"])


STUDY = Study(
    "doubled",
    "Have the networks converged: what does twice the training gain?",
    _runs,
    notebook="verdicts",
    files={"gains": gains},
)
