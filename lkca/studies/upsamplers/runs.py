"""The runs of the studies that compare upsamplers: `upsamplers` in LKCA-Net, `upsamplers_elsewhere` outside."""

from lkca.studies.profiles import Profile
from lkca.training.run import Distillation, Run

STAND_IN = "lkca-lr"  # the model whose upsampler is replaced: what is compared costs no more than its upsampler does


def upsamplers(profile: Profile) -> list[Run]:
    """What learns nothing; the full upsampler; every kind at LKCA-LR's cost; some distilled; curves of quality."""
    plan, first = profile.upsamplers, profile.seeds[0]
    if plan is None:
        return []
    options = [{"upsampler": kind} for kind in plan.kinds] + [{"upsampler": "spectral", "rank": plan.spectral_rank}]
    runs = profile.untrained()
    runs += [profile.run("lkca", seed) for seed in profile.seeds]
    runs += [profile.run(STAND_IN, seed, options=each) for each in options for seed in profile.seeds]
    distillation = Distillation(teacher_blocks=profile.teacher_blocks)
    runs += [
        profile.run("lkca-kd", seed, distillation, options={"upsampler": kind})
        for kind in plan.distilled
        for seed in profile.seeds
    ]
    curves = [{"upsampler": kind, "groups": g} for kind in ("grouped", "svd", "spectral") for g in plan.groups]
    curves += [{"upsampler": kind, "rank": rank} for kind, ranks in plan.ranks.items() for rank in ranks]
    return runs + [profile.run(STAND_IN, first, options=each) for each in curves]


def upsamplers_elsewhere(profile: Profile) -> list[Run]:
    """Other networks as published, with the grouped upsampler, and with one that is low rank.

    With every seed; those that the profile trains once, with the first.
    """
    if profile.upsamplers is None:
        return []
    runs = profile.untrained()
    for network, best in profile.upsamplers.networks.items():
        settings = dict(profile.baselines.get(network, {}))
        sizes = settings.pop("options", {})
        for kind in ("own", "grouped", best):
            options = {**sizes, "upsampler": kind}
            seeds = profile.seeds[:1] if network in profile.once else profile.seeds
            runs += [profile.run(network, seed, **settings, options=options) for seed in seeds]
    return runs
