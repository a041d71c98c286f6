"""What a network gains as its user will use it, and whether what it adds looks like detail."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lkca.data.synthetic import synthetic_scene
from lkca.measures.back_projection import back_project
from lkca.measures.resize import resize
from lkca.sharpening.texture import LEAST_LIKENESS, MOST_GRID, grid_share, likeness, texture
from lkca.sharpening.verdict import STRIPS, judge, word

R = 4


class Answer(nn.Module):
    def __init__(self, answer) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(x)


@pytest.fixture
def scene(tmp_path: Path) -> str:
    np.save(tmp_path / "s.npy", synthetic_scene(48, 140, 6, seed=3).cube.transpose(1, 2, 0))
    return str(tmp_path / "s.npy")


def corrected(x: Tensor) -> Tensor:
    return back_project(resize(x, R), x)


def test_a_better_network_is_called_better_and_a_worse_one_worse(scene: str) -> None:
    good = judge(Answer(corrected), scene, R)
    assert (good.table.gain[good.table.blur == "bicubic"] > 0).all() and good.in_words().startswith("Better than")
    assert len(good.table) == 2 * 4 * STRIPS and good.bands["bicubic"] == 0
    bad = judge(Answer(lambda x: 2 * resize(x, R) - corrected(x)), scene, R)
    assert (bad.table.gain < 0).all() and bad.in_words().startswith("WORSE") and bad.bands["bicubic"] == 1
    assert "100% of the bands got worse" in bad.in_words()
    same = judge(Answer(lambda x: resize(x, R)), scene, R)
    assert np.abs(same.table.gain).max() < 1e-4 and same.in_words().startswith("As good")


def test_the_blur_of_training_decides_and_the_others_stand_beside(scene: str) -> None:
    verdict = judge(Answer(corrected), scene, R, blur="gaussian-0.5")
    assert list(dict.fromkeys(verdict.table.blur)) == ["gaussian-0.5", "bicubic", "mean"]
    assert list(verdict.summary()["shrunk by"]) == ["gaussian-0.5", "bicubic", "mean"]


def test_bands_are_counted_one_by_one(scene: str) -> None:
    def half(x: Tensor) -> Tensor:
        return torch.cat([corrected(x)[:, :2], (2 * resize(x, R) - corrected(x))[:, 2:]], dim=1)

    assert judge(Answer(half), scene, R).bands["bicubic"] == pytest.approx(4 / 6)


def test_held_out_pixels_alone_are_measured(scene: str) -> None:
    """A network that is right on the training part alone gains nothing."""

    def left(x: Tensor) -> Tensor:
        y = resize(x, R)
        y[..., : 3 * y.shape[-1] // 4 - 4] = 0.5
        return y

    assert np.abs(judge(Answer(left), scene, R).table.gain).max() < 1e-4


@pytest.mark.parametrize(
    ("gain", "angle", "expected"),
    [(0.3, -0.1, "Better"), (0.005, -0.02, "Better"), (-1.1, 0.2, "WORSE"), (-0.05, 0.0, "WORSE"),
     (0.001, 0, "As good"), (0.3, 0.1, "Mixed"), (-0.2, -0.1, "Mixed")],
)  # fmt: skip
def test_words(gain: float, angle: float, expected: str) -> None:
    assert word(gain, angle).startswith(expected)


def test_a_grid_is_seen() -> None:
    generator = torch.Generator().manual_seed(0)
    detail = torch.randn(3, 64, 96, generator=generator)
    tile = torch.randn(3, R, R, generator=generator).repeat(1, 16, 24)
    assert grid_share(detail, R) < 0.02
    assert grid_share(tile, R) > 0.99
    energies = [(x - x.mean((1, 2), keepdim=True)).square().mean() for x in (tile, detail + tile)]
    assert grid_share(detail + tile, R) == pytest.approx(float(energies[0] / energies[1]), abs=0.05)
    sign = torch.ones(1, 64, 96)
    sign[..., 64:] = -1  # a pattern that differs from place to place is a grid all the same
    assert grid_share(sign * tile, R) > 0.9
    assert grid_share(torch.zeros(2, 8, 8), R) == 0
    assert "a grid" in " ".join(texture(tile, R).warnings())


def test_likeness_of_neighbouring_bands() -> None:
    detail = torch.randn(1, 32, 32, generator=torch.Generator().manual_seed(1))
    noise = torch.randn(5, 32, 32, generator=torch.Generator().manual_seed(2))
    assert likeness(detail.repeat(5, 1, 1)) == pytest.approx(1)
    assert abs(likeness(noise)) < 0.1
    assert likeness(detail + noise) == pytest.approx(0.5, abs=0.05) and LEAST_LIKENESS > 0.5
    assert len(texture(noise, R).warnings()) == 1 and not texture(detail.repeat(5, 1, 1), R).warnings()


def test_true_detail_passes_both() -> None:
    cube = torch.from_numpy(synthetic_scene(96, 96, 24, seed=1).cube)
    measured = texture(cube - resize(resize(cube, 1 / R), R), R)
    assert measured.grid < MOST_GRID / 2 and measured.likeness > LEAST_LIKENESS
