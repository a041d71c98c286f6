"""Back-projection against its definition, written out at full size."""

import pytest
import torch

from lkca import build_model, resize
from lkca.measures.back_projection import back_project, shrunk_enlarged

SHAPES = [(2, 3, 9, 7), (1, 1, 2, 2), (1, 2, 1, 5)]


def written_out(x: torch.Tensor, lr: torch.Tensor, scale: int, steps: int) -> torch.Tensor:
    for _ in range(steps):
        x = x + resize(lr - resize(x, 1 / scale), scale)
    return x


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("scale", (2, 4, 8))
def test_corrections_are_those_of_the_definition(shape: tuple[int, ...], scale: int) -> None:
    generator = torch.Generator().manual_seed(0)
    lr = torch.rand(shape, generator=generator, dtype=torch.float64)
    noise = torch.rand(*shape[:2], scale * shape[2], scale * shape[3], generator=generator, dtype=torch.float64)
    assert torch.allclose(shrunk_enlarged(lr, scale), resize(resize(lr, scale), 1 / scale), atol=1e-12)
    for steps in (0, 1, 2, 5):
        expected = written_out(noise, lr, scale, steps)
        assert torch.allclose(back_project(noise, lr, steps), expected, atol=1e-12)
    expected = written_out(resize(lr, scale), lr, scale, 3)
    model = build_model("back-projection", shape[1], scale, steps=3)
    assert torch.allclose(model(lr), expected, atol=1e-12)
    assert not list(model.parameters())


def test_shrunk_again_it_approaches_the_input() -> None:
    lr = torch.rand(1, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    errors = [(resize(build_model("back-projection", 4, 4, steps=s)(lr), 1 / 4) - lr).abs().max() for s in (1, 3, 10)]
    assert errors[2] < errors[1] < errors[0] < (resize(resize(lr, 4), 1 / 4) - lr).abs().max()


@pytest.mark.parametrize("steps", (-1, 1.5, True))
def test_impossible_steps_are_refused(steps: object) -> None:
    with pytest.raises(ValueError, match="whole number of steps"):
        back_project(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 2, 2), steps)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="no enlargement"):
        back_project(torch.zeros(1, 1, 8, 9), torch.zeros(1, 1, 2, 2))
