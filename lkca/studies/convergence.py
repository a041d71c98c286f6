"""How long must networks train, and which then beat bicubic with back-projection?

Other studies compare networks after equal numbers of steps. The study `until_converged` trains them until each has
converged. The notebook `convergence` shows it beside the tables of every study.
"""

from collections.abc import Mapping

import pandas as pd
import torch

from lkca.data.datasets import small_scenes
from lkca.data.loaders import missing_files, whole_scene
from lkca.data.split import Area, crop_no_data, hot_pixel_limit, normalise
from lkca.data.synthetic.sensors import landscape_cube
from lkca.degradation import DEGRADATIONS, back_project
from lkca.metrics import mpsnr, sam
from lkca.models import BASELINES
from lkca.resize import SCALES, crop_to_multiple, resize
from lkca.run import Run
from lkca.studies import EVERY_STUDY, Study
from lkca.studies.collect import image_rows
from lkca.studies.profile import Profile, load_profile
from lkca.studies.tables import all_rows
from lkca.trainer import MIN_GAIN

ITERATIONS = (0, 1, 2, 3, 5, 8, 12, 20)  # of back-projection
SEEDS, SYNTHETIC_SIDE = range(2_000_000, 2_000_003), 128  # synthetic scenes: seeds, and side in pixels
NOISY = ("bicubic", "bicubic, 40 dB", "bicubic, 30 dB")  # degradations by SNR: back-projection amplifies noise


def _runs(profile: Profile, section: Mapping) -> list[Run]:
    teachers = section.get("teachers", 1)  # student of seed s has teacher s mod teachers
    return profile.baselines() + [
        profile.run(model, seed, distillation={"teacher_seed": seed % teachers}, **section.get("settings", {}))
        for model in section["models"]
        for seed in profile.seeds
    ]


UNTIL_CONVERGED = Study(
    "until_converged",
    "Do differences after equal steps hold once each network has converged?",
    _runs,
    notebook="convergence",
    files={"images": image_rows},
    comparison=lambda run: run.seed,
)
STUDY = Study("convergence", "How long must networks train, and which then beat back-projection?", reads=EVERY_STUDY)


def late_gains(profile: str) -> pd.DataFrame:
    """Return a row per study: how much validation still gained at the end of its runs.

    Columns: study, runs (trained ones), epochs (the most), late_gain_dB (median gain of validation MPSNR within the
    last `lkca.run.PATIENCE` epochs), not_converged (share of the runs that gained more than `lkca.trainer.MIN_GAIN`).
    """
    rows = all_rows(profile)
    if rows.empty:
        return pd.DataFrame(columns=["study", "runs", "epochs", "late_gain_dB", "not_converged"])
    other = (load_profile(profile).section("upsampler_svd") or {}).get("other_epochs", ())  # short on purpose
    rows = rows[~((rows["study"] == "upsampler_svd") & rows["epochs"].isin(other))].dropna(subset="late_gain_dB")
    groups = rows.assign(not_converged=rows["late_gain_dB"] > MIN_GAIN).groupby("study", sort=False)
    table = groups.agg(
        runs=("run", "size"),
        epochs=("epochs", "max"),
        late_gain_dB=("late_gain_dB", "median"),
        not_converged=("not_converged", "mean"),
    )
    return table.reset_index()


def added_by_networks(profile: str) -> pd.DataFrame:
    """Return what trained networks add to bicubic with back-projection on the same images, from all tables.

    A row for each study, model and scale: added_dB (MPSNR, mean over runs), added_bp_dB (the same after back-projection
    of the network's output), runs, and above (how many runs are above back-projection without being back-projected).
    """
    rows, case = all_rows(profile), ["dataset", "variant", "scale"]
    if rows.empty:
        return pd.DataFrame(columns=["study", "model", "scale", "added_dB", "added_bp_dB", "runs", "above"])
    baseline = rows[rows["model"] == "back-projection"].drop_duplicates(case).set_index(case)["MPSNR"]
    learned = rows[~rows["model"].isin(BASELINES)].join(baseline.rename("baseline"), on=case).dropna(subset="baseline")
    learned = learned.assign(
        added_dB=learned["MPSNR"] - learned["baseline"],
        added_bp_dB=learned["MPSNR_bp"] - learned["baseline"],
        above=learned["MPSNR"] > learned["baseline"],
    )
    groups = learned.groupby(["study", "model", "scale"], sort=False)
    means = {"added_dB": ("added_dB", "mean"), "added_bp_dB": ("added_bp_dB", "mean")}
    return groups.agg(**means, runs=("run", "size"), above=("above", "sum")).reset_index()


def scenes_in_place(profile: str) -> dict[str, Area]:
    """Return every small real scene whose files are in place, whole and normalised by itself.

    At `quick` only scenes that come with a package. If there is at most one, synthetic scenes are added.
    """
    names = [s.name for s in small_scenes() if not missing_files(s) and (profile != "quick" or s.package)]
    scenes = {name: whole_scene(name)[0] for name in names}
    if len(scenes) <= 1:
        scenes |= {f"synthetic {n + 1}": Area("", landscape_cube(seed, SYNTHETIC_SIDE)) for n, seed in enumerate(SEEDS)}
    for area in scenes.values():
        normalise(area.cube, hot_pixel_limit([area]))
    return {name: crop_no_data(area) for name, area in scenes.items()}


def back_projection_curve(scenes: Mapping[str, Area]) -> pd.DataFrame:
    """Measure bicubic after each number of back-projection iterations in `ITERATIONS`.

    Columns: scene, scale, degradation, steps, MPSNR, SAM. LR images with noise are measured at x4 only.
    """
    rows = []
    for scene, area in scenes.items():
        for scale in SCALES:
            truth = crop_to_multiple(torch.from_numpy(area.cube), scale)
            for name in NOISY if scale == 4 else NOISY[:1]:
                lr = DEGRADATIONS[name](truth, scale)
                upsampled = resize(lr, scale)
                for steps in ITERATIONS:
                    pair = back_project(upsampled, lr, steps).numpy(), truth.numpy()
                    rows.append((scene, scale, name, steps, mpsnr(*pair), sam(*pair)))
    return pd.DataFrame(rows, columns=["scene", "scale", "degradation", "steps", "MPSNR", "SAM"])
