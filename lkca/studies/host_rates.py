"""Which learning rate suits each host of a low-rank upsampler? Chosen on validation, before claim 5 is judged.

Put the best rates under `models` of the profile before the networks of claim 5 are trained; a test compares them with
the table once it exists.
"""

from collections.abc import Sequence

import pandas as pd

from lkca.checkpoints import load_result
from lkca.run import Run
from lkca.studies import Study
from lkca.studies.profile import Profile

SEED = 100  # not a seed of the networks that are compared later
UPSAMPLERS = ("own", "grouped")


def _runs(profile: Profile, section: dict) -> list[Run]:
    return [
        profile.run(host, SEED, {"upsampler": upsampler}, learning_rate=rate)
        for host, rates in section["rates"].items()
        for rate in rates
        for upsampler in UPSAMPLERS
    ]


def validation(_: Profile, runs: Sequence[Run]) -> pd.DataFrame:
    """Return the best validation of each run. Columns: run, model, upsampler, learning_rate, validation (MPSNR, dB)."""
    rows = [
        (run.name, run.model, run.options["upsampler"], run.learning_rate, load_result(run).history["validation"].max())
        for run in runs
    ]
    return pd.DataFrame(rows, columns=["run", "model", "upsampler", "learning_rate", "validation"])


STUDY = Study(
    "host_rates",
    "Which learning rate suits each host of a low-rank upsampler?",
    _runs,
    notebook="verdicts",
    files={"validation": validation},
    comparison=lambda run: run.model,
)
