"""Which family of networks makes the most of its multiply-accumulates?

Each family is as wide as a budget pays for. The rule: depth stays (one block; six layers of VDSR; two blocks of the
LKCA networks), width changes in the steps that the structure allows, to the one whose MACs at x4 and 16x16 LR pixels
are nearest to the budget in ratio. A family whose narrowest network costs more than `MAX_RATIO` times the budget is
left out of it. The profiles list the widths that this rule gives; a test checks them.
"""

from collections.abc import Mapping

from lkca.run import Run
from lkca.studies import Study
from lkca.studies.profile import Profile

MAX_RATIO = 1.35  # between MACs that share a budget


FAMILIES = {  # options that stay, whatever the width
    "vdsr": {"blocks": 6},
    "3dfcnn": {},
    "sspsr": {"blocks": 1},
    "msdformer": {"blocks": 1, "heads": 3},
    "essaformer": {"blocks": 1},
    "lkca": {"blocks": 2},
    "lkca-lr": {"blocks": 2},
    "lkca-best": {"blocks": 2},
}


def options_of(model: str, width: int) -> dict[str, object]:
    """Return the options of a family at a width."""
    return {**FAMILIES[model], "channels": width}


def _runs(profile: Profile, section: Mapping) -> list[Run]:
    """Every family at every budget, cheap ones first."""
    return profile.baselines() + [
        profile.run(model, seed, options=options_of(model, width), **section.get("settings", {}))
        for budget, widths in section["widths"].items()
        for model, width in widths.items()
        for seed in (profile.seeds[:1] if budget in section.get("one_seed_at", ()) else profile.seeds)
    ]


STUDY = Study("equal_cost", "Which family of networks makes the most of its multiply-accumulates?", _runs)
