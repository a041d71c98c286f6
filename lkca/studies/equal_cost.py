"""Which family of networks makes the most of its multiply-accumulates?

Each family is as wide as a budget of MACs allows. The depth is fixed: one block, six layers of VDSR, two blocks of the
LKCA networks. The width is the one whose MACs at x4 and 16x16 LR pixels are nearest to the budget in ratio, among those
that the structure allows. A family whose narrowest network costs more than `MAX_RATIO` times the budget is left out.
The profiles list the resulting widths; a test checks them.
"""

from collections.abc import Mapping

from lkca.run import Run
from lkca.studies import Study
from lkca.studies.profile import Profile

MAX_RATIO = 1.35  # between the MACs of a network and its budget


FAMILIES = {  # options that do not depend on the width
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
    """Return every family at every budget, cheap budgets first."""
    return profile.baselines() + [
        profile.run(model, seed, options=options_of(model, width), **section.get("settings", {}))
        for budget, widths in section["widths"].items()
        for model, width in widths.items()
        for seed in (profile.seeds[:1] if budget in section.get("one_seed_at", ()) else profile.seeds)
    ]


STUDY = Study("equal_cost", "Which family of networks makes the most of its multiply-accumulates?", _runs)
