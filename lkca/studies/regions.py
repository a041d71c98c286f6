"""Is one test scene an anecdote? Each scene of a dataset is the test scene once, and the others train.

One seed: the question is about scenes, which differ by far more than seeds do. The notebook `scenes` shows
it too: `paired(frame, "back-projection", "variant")` and `mean_differences` of `lkca.studies.intervals`.
"""

from lkca.data.datasets import find_dataset
from lkca.models import BASELINES
from lkca.run import Run
from lkca.studies import Study
from lkca.studies.profile import Profile

MODELS = (*BASELINES, "vdsr", "lkca", "lkca-lr", "lkca-kd")


def _runs(profile: Profile) -> list[Run]:
    section = profile.section("regions")
    if section is None:
        return []
    dataset = section["dataset"]
    variants = section.get("variants") or find_dataset(dataset).variants  # each tests on another scene
    return [profile.run(model, dataset=dataset, variant=variant) for variant in variants for model in MODELS]


STUDY = Study("regions", "Is one test scene an anecdote? Each scene is the test scene once.", _runs, notebook="scenes")
