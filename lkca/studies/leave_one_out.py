"""Do the differences hold on a place that no network has seen? Each place of the small real scenes is left out once.

One network is trained on the scenes of all other places, begins with weights trained on synthetic scenes, and is tested
on the whole of the left-out place. Settings are one for all places.
"""

from lkca.data.datasets import find_dataset
from lkca.models import BASELINES
from lkca.run import Run
from lkca.studies import Study
from lkca.studies.profile import Profile


def _runs(profile: Profile) -> list[Run]:
    """Every model on every place, seed by seed, so that a part of the runs already compares."""
    section = profile.section("leave_one_out")
    if section is None:
        return []
    own = profile.within("leave_one_out")
    places = section.get("places") or find_dataset(own.settings["dataset"]).variants
    return [own.run(model, variant=place) for place in places for model in BASELINES] + [
        own.run(model, seed, variant=place)
        for seed in profile.repeated("leave_one_out").seeds
        for place in places
        for model in section["compared"]
    ]


STUDY = Study(
    "leave_one_out",
    "Do the differences hold on a place that no network has seen?",
    _runs,
    notebook="verdicts",
    comparison=lambda run: (run.variant, run.seed),
    images=True,
)
