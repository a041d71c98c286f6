"""The line to beat: bicubic with back-projection, step by step; and what every trained network adds to it.

Nothing is trained here. The curve is measured on whole scenes, in seconds each.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from lkca.measures.back_projection import back_project
from lkca.measures.metrics import mpsnr, sam
from lkca.measures.optics import seen_through
from lkca.measures.resize import crop_to_multiple, resize
from lkca.models import MODELS, SCALES
from lkca.paths import results_folder
from lkca.studies.any_sensor.measured import Ground
from lkca.studies.catalogue import STUDIES
from lkca.studies.intervals import half_width

CORRECTIONS = (0, 1, 2, 3, 5, 8, 12, 20)
OPTICS = ("bicubic", "bicubic, 40 dB", "bicubic, 30 dB")  # the noise that corrections amplify


def steps_curve(grounds: Sequence[Ground], scales: Sequence[int] = SCALES) -> pd.DataFrame:
    """Quality of bicubic after every number of corrections: scene, scale, optics, steps, MPSNR, SAM.

    grounds : scenes to measure on. LR images with noise are measured at x4 alone.
    """
    rows = []
    for ground in grounds:
        for scale in scales:
            truth = crop_to_multiple(torch.from_numpy(ground.area.cube), scale)
            for optics in OPTICS if scale == 4 else OPTICS[:1]:
                lr = seen_through(truth, scale, optics)
                enlarged = resize(lr, scale)
                for steps in CORRECTIONS:
                    pair = back_project(enlarged, lr, steps).numpy(), truth.numpy()
                    rows.append((ground.scene, scale, optics, steps, mpsnr(*pair), sam(*pair)))
    return pd.DataFrame(rows, columns=["scene", "scale", "optics", "steps", "MPSNR", "SAM"])


def gain_by_steps(curve: pd.DataFrame) -> pd.DataFrame:
    """Mean gain over bicubic with half its 95 % t-interval over scenes (NaN below 3), by scale, optics and steps."""
    case = ["scene", "scale", "optics"]
    base = curve[curve["steps"] == 0].set_index(case)[["MPSNR", "SAM"]]
    gains = curve.set_index(case)
    gains[["MPSNR", "SAM"]] -= base.loc[gains.index].to_numpy()
    groups = gains.reset_index().groupby(["scale", "optics", "steps"], sort=False)
    table = groups[["MPSNR", "SAM"]].mean()
    count = groups.size()
    for metric in ("MPSNR", "SAM"):
        table[f"{metric}_half"] = half_width(groups[metric].sem(), count, least=3)
    return table.assign(scenes=count).reset_index()


def added_by_networks(profile: str) -> pd.DataFrame:
    """What each trained network adds to back-projection, from every table of the profile.

    A row for each study, model and scale, over all of its data: MPSNR above back-projection on the same images, as
    trained (`added_dB`) and after corrections of its own output (`added_bp_dB`), means over runs; `runs`, and `above`:
    how many of them are above the line as trained.
    """
    paths = {study: results_folder() / profile / f"{study}.csv" for study in STUDIES}
    frames = [pd.read_csv(path).assign(study=study) for study, path in paths.items() if path.is_file()]
    if not frames:
        return pd.DataFrame(columns=["study", "model", "scale", "added_dB", "added_bp_dB", "runs", "above"])
    rows, case = pd.concat(frames, ignore_index=True), ["dataset", "reading", "scale"]
    line = rows[rows["model"] == "back-projection"].drop_duplicates(case).set_index(case)["MPSNR"]
    learned = rows[rows["model"].map(lambda name: MODELS[name].learned)]
    learned = learned[pd.MultiIndex.from_frame(learned[case]).isin(line.index)]
    to_beat = line.loc[pd.MultiIndex.from_frame(learned[case])].to_numpy()
    corrected = learned.get("MPSNR_bp", np.nan)
    learned = learned.assign(added=learned["MPSNR"] - to_beat, added_bp=corrected - to_beat)
    groups = learned.groupby(["study", "model", "scale"], sort=False)
    table = groups.agg(added_dB=("added", "mean"), added_bp_dB=("added_bp", "mean"), runs=("added", "size"))
    table["above"] = groups["added"].agg(lambda added: int((added > 0).sum()))
    return table.reset_index()
