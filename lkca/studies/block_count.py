"""Does quality grow with the number of large-kernel blocks, and where does it stop growing? (Table I)"""

from lkca.run import Run
from lkca.studies import Study
from lkca.studies.profile import Profile


def _runs(profile: Profile, section: dict) -> list[Run]:
    return profile.baselines() + [
        profile.run("lkca", seed, {"blocks": blocks}, **section.get("settings", {}))
        for blocks in section["blocks"]
        for seed in profile.seeds
    ]


STUDY = Study(
    "block_count",
    "Does quality grow with the number of blocks, and saturate? (Table I)",
    _runs,
    comparison=lambda run: run.seed,
)
