"""Evaluation: the pair of images that is measured, and whole test images through a network."""

import numpy as np
import pytest
import torch

from lkca.data.patches import split_patches
from lkca.data.split import Area, Split
from lkca.evaluate import evaluate, low_resolution, mean_quality, patch_mpsnr
from lkca.metrics import METRICS
from lkca.resize import resize


def area(height: int, width: int) -> Area:
    return Area("image", np.random.default_rng(0).random((3, height, width), np.float32))


def test_an_image_is_cropped_at_the_bottom_and_right_with_a_warning() -> None:
    image = area(19, 22)
    with pytest.warns(UserWarning, match="16x20"):
        lr, hr = low_resolution(image, 4)
    assert np.array_equal(hr.numpy(), image.cube[:, :16, :20]) and torch.equal(lr, resize(hr, 1 / 4))


class Brighter(torch.nn.Module):
    """Nearest neighbours, a tenth brighter; remembers the shapes it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(tuple(x.shape))
        return 1.1 * x.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)


def test_images_are_measured_whole_and_have_equal_weight_in_the_mean() -> None:
    """Images of one value: a tenth brighter is 20 dB below it, whatever the size of the image."""
    dim, bright = (
        Area(name, np.full((3, *size), value, np.float32))
        for name, size, value in (("dim", (16, 16), 0.1), ("bright", (48, 32), 1.0))
    )
    split, model = Split("toy", "one", (dim,), (dim, bright), None, 1.0, ""), Brighter()
    images = evaluate(model, split, 4, (0, 5))
    assert model.seen == [(1, 3, 4, 4), (1, 3, 12, 8)]
    assert [images[0][name]["RMSE"] for name in ("dim", "bright")] == pytest.approx([0.01, 0.1], rel=1e-4)
    assert [images[0][name]["MPSNR"] for name in ("dim", "bright")] == pytest.approx([40, 20], abs=1e-3)
    mean = mean_quality(images[0])
    assert mean["RMSE"] == pytest.approx(0.055, rel=1e-4) and mean["MPSNR"] == pytest.approx(30, abs=1e-3)
    assert tuple(mean) == METRICS
    assert images[5]["dim"]["MPSNR"] > 80  # back-projection restores an image of one value


def test_the_mean_psnr_of_patches_weighs_bands_alike() -> None:
    """One band is 20 dB below its value, the other 40 dB; only two patches at once fit into a GPU."""
    patches = split_patches([Area("flat", np.ones((2, 64, 64), np.float32))], 16, 16)[1]
    factors = torch.tensor([1.1, 1.01])[:, None, None]

    def enlarge(x: torch.Tensor) -> torch.Tensor:
        if len(x) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return factors * x.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)

    model = torch.nn.Module()
    model.forward = enlarge
    assert len(patches) > 2
    assert patch_mpsnr(model, patches, 4, 2) == pytest.approx(30, abs=1e-2)
    with pytest.warns(UserWarning, match="memory"):
        assert patch_mpsnr(model, patches, 4, len(patches)) == pytest.approx(30, abs=1e-2)
