"""Evaluation: the pair that is measured, and whole test images through a model."""

import numpy as np
import pytest
import torch

from lkca import build_model, quality, resize
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


def test_every_image_is_measured_whole_and_the_mean_is_theirs() -> None:
    images = (area(16, 16, 0), area(24, 16, 1))
    split = Split("made", "one", images, images, None, (0, 1, 2), 1.0, "")
    measured = evaluate(build_model("bicubic", 3, 4), split, 4)
    assert list(measured) == ["image 0", "image 1"]
    for image in images:
        lr, hr = low_resolution(image, 4)
        assert measured[image.name] == quality(resize(lr, 4), hr, 4)
    for metric in METRICS:
        assert mean_quality(measured)[metric] == pytest.approx(np.mean([m[metric] for m in measured.values()]))
