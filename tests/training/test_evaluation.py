"""Evaluation: the pair that is measured, and whole test images through a model."""

import numpy as np
import pytest
import torch

from lkca import build_model, resize
from lkca.data.patches import Area
from lkca.data.split import Split
from lkca.measures.metrics import METRICS
from lkca.training.evaluation import evaluate, low_resolution, mean_quality, predict


def area(height: int, width: int, seed: int = 0) -> Area:
    return Area(f"image {seed}", np.random.default_rng(seed).random((3, height, width), np.float32))


def test_crop_at_bottom_and_right_is_said() -> None:
    image = area(19, 22)
    with pytest.warns(UserWarning, match="'image 0': 19x22 pixels cropped to 16x20 at the bottom and the right"):
        lr, hr = low_resolution(image, 4)
    assert np.array_equal(hr.numpy(), image.cube[:, :16, :20])
    assert torch.equal(lr, resize(hr, 1 / 4))


@pytest.mark.filterwarnings("error")
def test_a_multiple_is_taken_whole() -> None:
    lr, hr = low_resolution(area(16, 24), 8)
    assert lr.shape == (3, 2, 3) and hr.shape == (3, 16, 24)


@pytest.mark.parametrize("training", [True, False])
def test_predict_is_in_eval_mode_and_leaves_the_model_s(training: bool) -> None:
    model = build_model("lkca", 3, 2, blocks=2, channels=16, drop_path=0.9).train(training)
    lr = torch.rand(3, 8, 8)
    first, second = predict(model, lr), predict(model, lr)
    assert first.shape == (3, 16, 16) and torch.equal(first, second)
    assert model.training is training


class Brighter(torch.nn.Module):
    """Nearest neighbours, a tenth brighter; remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(tuple(x.shape))
        return 1.1 * x.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)


def test_every_image_is_measured_whole_and_counts_alike_in_the_mean() -> None:
    """Images of one value: a tenth brighter is 20 dB below it, whatever the size of the image."""
    dim, bright = (Area(name, np.full((3, *size), value, np.float32)) for name, size, value in
                   (("dim", (16, 16), 0.1), ("bright", (48, 32), 1.0)))  # fmt: skip
    split = Split("made", "one", (dim,), (dim, bright), None, (0, 1, 2), 1.0, "")
    model = Brighter()
    measured = evaluate(model, split, 4)
    assert model.seen == [(1, 3, 4, 4), (1, 3, 12, 8)]
    assert list(measured) == ["dim", "bright"]
    assert [measured[name]["RMSE"] for name in measured] == pytest.approx([0.01, 0.1], rel=1e-4)
    assert [measured[name]["MPSNR"] for name in measured] == pytest.approx([40, 20], abs=1e-3)
    mean = mean_quality(measured)
    assert mean["RMSE"] == pytest.approx(0.055, rel=1e-4) and mean["MPSNR"] == pytest.approx(30, abs=1e-3)
    assert tuple(mean) == METRICS
