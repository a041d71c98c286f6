"""How much do the channel attention and the large dilated kernel contribute, and does that depend on the image size?

The channel attention averages over a patch of 8x8 LR pixels in training, and over the whole image in use. The paper has
no such ablation.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from lkca.checkpoints import load_result
from lkca.data.loaders import load_dataset
from lkca.data.synthetic.scenes import synthetic_scene
from lkca.fast import predict
from lkca.metrics import mpsnr, sam
from lkca.resize import resize
from lkca.run import Run
from lkca.studies import Study
from lkca.studies.profile import Profile

MODELS = ("lkca", "lkca-lr")
PARTS = tuple({"channel_attention": ca, "large_kernel": lk} for ca in (True, False) for lk in (True, False))
SIZES = (16, 32, 64, 128)  # sides of the test images in LR pixels
SCENE_SEEDS = (3_000_000, 3_000_001)  # no other study uses these scenes


def _runs(profile: Profile, _: dict) -> list[Run]:
    return profile.baselines() + [
        profile.run(model, seed, parts) for model in MODELS for parts in PARTS for seed in profile.seeds
    ]


def sizes(_: Profile, runs: Sequence[Run]) -> pd.DataFrame:
    """Measure each network on the same scenes, cut into images of every size.

    Each image is upsampled by itself, and the quality of the joined result is measured.

    Columns: run, model, seed, channel_attention, large_kernel, size (LR pixels), scene, MPSNR, SAM.
    """
    bands, length = load_dataset(runs[0].dataset, runs[0].variant).bands, max(SIZES) * runs[0].scale
    scenes = {n: torch.from_numpy(synthetic_scene(length, length, bands, n).cube) for n in SCENE_SEEDS}
    rows = []
    for run in runs:
        model = load_result(run).model()
        about = {"run": run.name, "model": run.model, "seed": run.seed}
        about |= {name: run.options.get(name) for name in PARTS[0]}
        for number, truth in scenes.items():
            for size in SIZES:
                pair = upsample_in_tiles(model, truth, run.scale, size).numpy(), truth.numpy()
                rows.append(about | {"size": size, "scene": number, "MPSNR": mpsnr(*pair), "SAM": sam(*pair)})
    return pd.DataFrame(rows)


def upsample_in_tiles(model: torch.nn.Module, truth: torch.Tensor, scale: int, size: int) -> torch.Tensor:
    """Downsample and upsample a scene (B, H, W) in tiles of `size` LR pixels a side, each an image of its own."""
    result, step = torch.empty_like(truth), size * scale
    for top, left in np.ndindex(truth.shape[1] // step, truth.shape[2] // step):
        here = (slice(None), slice(top * step, (top + 1) * step), slice(left * step, (left + 1) * step))
        result[here] = predict(model, resize(truth[here], 1 / scale))
    return result


STUDY = Study(
    "ablation",
    "How much do the channel attention and the large kernel contribute, at each image size?",
    _runs,
    notebook="verdicts",
    files={"sizes": sizes},
    comparison=lambda run: run.seed,
)
