"""Do the differences hold on other scenes, places and sensors?

Every network is trained on three quarters of each of many real scenes and tested on the held-out quarter. The settings
are one for all scenes. They were chosen on scenes of Los Angeles, so these are left out. A scene is the unit of
evidence, and scenes of one place count as one; one seed, because scenes differ by far more than seeds do.
"""

from lkca.data.datasets import small_scenes
from lkca.run import Run
from lkca.studies import Study
from lkca.studies.profile import Profile


def _runs(profile: Profile) -> list[Run]:
    """Every model on every scene, scale by scale; cheap models first, so that a part of the runs already compares."""
    section = profile.section("scenes")
    if section is None:
        return []
    own = profile.within("scenes")
    names = section.get("names") or [s.name for s in small_scenes() if s.place != section["left_out_place"]]
    return [
        own.run(model, seed=0, dataset=name, scale=scale)
        for scale, models in section["models_by_scale"].items()
        for model in models
        for name in names
    ]


STUDY = Study("scenes", "Do the differences hold on other scenes, places and sensors?", _runs)
