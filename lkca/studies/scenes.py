"""Do the differences hold on other scenes, places and sensors?

`scenes` : each network is trained on three quarters of a real scene and tested on the held-out quarter, for many
scenes. All scenes have the same settings. They were chosen on scenes of Los Angeles, so these are left out. Scenes of
one place count as one.
`regions` : each scene of one dataset is the test scene once, and the others train.
`leave_one_out` : each network begins with weights trained on synthetic scenes, is trained further on the real scenes of
all places but one, and is tested on the whole of that place. All places have the same settings.

The first two have one seed, because scenes differ far more than seeds do.
"""

from lkca.data.datasets import find_dataset, small_scenes
from lkca.models import BASELINES
from lkca.run import Run
from lkca.studies import Study
from lkca.studies.collect import image_rows
from lkca.studies.profile import Profile

IN_REGIONS = (*BASELINES, "vdsr", "lkca", "lkca-lr", "lkca-kd")


def _scenes(profile: Profile, section: dict) -> list[Run]:
    """Return every model on every scene, by scale, then by model, so that a part of the runs already compares."""
    own = profile.within("scenes")
    names = section.get("names") or [s.name for s in small_scenes() if s.place != section["left_out_place"]]
    return [
        own.run(model, seed=0, dataset=name, scale=scale)
        for scale, models in section["models_by_scale"].items()
        for model in models
        for name in names
    ]


def _regions(profile: Profile, section: dict) -> list[Run]:
    dataset = section["dataset"]
    variants = section.get("variants") or find_dataset(dataset).variants  # each tests on another scene
    return [profile.run(model, dataset=dataset, variant=variant) for variant in variants for model in IN_REGIONS]


def _leave_one_out(profile: Profile, section: dict) -> list[Run]:
    """Return every model on every place, seed by seed, so that a part of the runs already compares."""
    own = profile.within("leave_one_out")
    places = find_dataset(own.settings["dataset"]).variants
    return [own.run(model, variant=place) for place in places for model in BASELINES] + [
        own.run(model, seed, variant=place)
        for seed in profile.seeds
        for place in places
        for model in section["compared"]
    ]


SCENES = Study("scenes", "Do the differences hold on other scenes, places and sensors?", _scenes)
REGIONS = Study("regions", "Do the results depend on which scene is the test scene?", _regions, notebook="scenes")
LEAVE_ONE_OUT = Study(
    "leave_one_out",
    "Do the differences hold on a place that no network has seen?",
    _leave_one_out,
    notebook="verdicts",
    files={"images": image_rows},
    comparison=lambda run: (run.variant, run.seed),
)
