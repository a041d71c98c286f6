"""Resizing against an independent port of MATLAB's imresize (golden), and against the kernel's definition."""

import math

import numpy as np
import pytest
import torch

from lkca.resize import (
    MAX_MATRIX_SIDE,
    SYMMETRIES,
    _matrix,
    crop_to_multiple,
    resize,
    symmetry,
    undo_symmetry,
)


@pytest.mark.parametrize("scale", [4, 8])
def test_golden(golden, scale: int) -> None:
    arrays = {name: torch.from_numpy(array) for name, array in golden("resize_and_metrics").items()}
    lr = resize(arrays["truth"], 1 / scale)
    assert (lr - arrays[f"lr_x{scale}"]).abs().max() < 1e-6
    assert (resize(arrays[f"lr_x{scale}"], scale) - arrays[f"up_x{scale}"]).abs().max() < 1e-6


def imresize_line(x: np.ndarray, factor: float) -> np.ndarray:
    """MATLAB's imresize along the last axis, written from its definition, with loops."""

    def kernel(t: float) -> float:
        t = abs(t)
        if t <= 1:
            return 1.5 * t**3 - 2.5 * t**2 + 1
        return -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2 if t <= 2 else 0.0

    length = x.shape[-1]
    width = min(factor, 1)
    out = np.zeros((*x.shape[:-1], math.ceil(round(length * factor, 9))))
    for i in range(out.shape[-1]):
        centre = (i + 0.5) / factor - 0.5
        taps = range(math.floor(centre - 2 / width) - 1, math.ceil(centre + 2 / width) + 2)
        weights = np.array([kernel(width * (centre - k)) for k in taps])
        for k, weight in zip(taps, weights / weights.sum(), strict=True):
            folded = k % (2 * length)
            out[..., i] += weight * x[..., min(folded, 2 * length - 1 - folded)]
    return out


@pytest.mark.parametrize("factor", [2, 3, 4, 8, 1 / 2, 1 / 3, 1 / 4, 1 / 8])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (8, 8), (24, 16), (3, MAX_MATRIX_SIDE + 3)])
def test_any_size_against_the_definition(factor: float, shape: tuple[int, int]) -> None:
    """Down to a single pixel, where the mirrored border is folded several times; by either way of computing."""
    if factor < 1:
        shape = tuple(n * round(1 / factor) for n in shape)
    x = np.random.default_rng(0).random((2, *shape))
    right = imresize_line(imresize_line(x, factor).swapaxes(-1, -2), factor).swapaxes(-1, -2)
    assert resize(torch.from_numpy(x), factor).numpy() == pytest.approx(right, abs=1e-12)


@pytest.mark.parametrize("ratio", [2, 3, 5, 6, 7, 8])
@pytest.mark.parametrize("shape", [(8, 8000), (8000, 8)])
def test_float32_does_not_drift_along_a_long_image(ratio: int, shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).random(shape)
    assert np.abs(resize(x.astype(np.float32), ratio) - resize(x, ratio)).max() < 3e-7
    assert np.abs(resize(x.astype(np.float32), 1 / ratio) - resize(x, 1 / ratio)).max() < 3e-7


@pytest.mark.parametrize("side", [24, 90])
def test_arrays_of_every_kind(side: int) -> None:
    """Big-endian numbers, flipped and read-only views, half precision: the right numbers, in the array's own type."""
    x = np.random.default_rng(0).random((2, side, side)).astype(np.float32)
    right = resize(x, 2)
    read_only = x.copy()
    read_only.flags.writeable = False
    assert np.array_equal(resize(x.astype(">f4"), 2), right)
    assert np.array_equal(resize(x[:, ::-1, ::-1].copy()[:, ::-1, ::-1], 2), right)
    assert np.array_equal(resize(read_only, 2), right)
    for half in (np.float16, torch.bfloat16, torch.float16):
        found = resize(x.astype(half) if half is np.float16 else torch.from_numpy(x).to(half), 2)
        assert found.dtype == half and np.abs(np.asarray(torch.as_tensor(found).float()) - right).max() < 0.02


@pytest.mark.parametrize(
    ("x", "factor", "message"),
    [
        *((np.ones((8, 8), kind), 2, "floating-point arrays") for kind in (np.longdouble, complex, int)),
        (np.ma.ones((8, 8)), 2, "masked"),
        *((torch.ones(8, 8, dtype=kind), 2, "floating-point tensors") for kind in (torch.uint8, torch.bool)),
        *((torch.ones(8, 8), factor, "r or 1/r") for factor in (0, -2, 2.5, 0.3, -0.5, math.nan, math.inf)),
        (torch.ones(3, 3, 9), 1 / 4, "fewer than 4 pixels"),
    ],
)
def test_what_cannot_be_resized(x: np.ndarray | torch.Tensor, factor: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resize(x, factor)


def test_size_that_is_no_multiple_is_cropped_at_bottom_and_right() -> None:
    x = torch.rand(3, 11, 13)
    assert torch.equal(resize(x, 1 / 4), resize(x[:, :8, :12], 1 / 4))
    assert torch.equal(crop_to_multiple(x, 4), x[:, :8, :12])


@pytest.mark.parametrize("lead", [(), (3,), (2, 1, 3)])
def test_leading_dimensions_and_type(lead: tuple[int, ...]) -> None:
    for dtype in (torch.float32, torch.float64):
        x = torch.rand(*lead, 8, 12, dtype=dtype)
        for factor, size in ((2, (16, 24)), (1 / 4, (2, 3)), (1, (8, 12))):
            y = resize(x, factor)
            assert y.shape == (*lead, *size) and y.dtype == dtype
            one = resize(x.reshape(-1, 8, 12)[-1], factor)  # no image sees another
            assert torch.allclose(y.reshape(-1, *size)[-1], one, atol=1e-6)


def test_exact_under_autocast() -> None:
    x = torch.rand(2, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = resize(x, 4)
    assert torch.equal(inside, resize(x, 4))


def test_gradient_after_a_first_use_in_inference_mode() -> None:
    _matrix.cache_clear()
    with torch.inference_mode():
        resize(torch.rand(5, 7), 2)
    x = torch.rand(5, 7, requires_grad=True)
    resize(x, 2).square().sum().backward()
    assert x.grad is not None


def test_eight_distinct_symmetries_of_the_square_and_their_inverses() -> None:
    patch = torch.rand(2, 5, 5)
    images = [symmetry(patch, s) for s in range(SYMMETRIES)]
    array = patch.numpy()
    group = [np.rot90(m, k, (1, 2)) for m in (array, array.transpose(0, 2, 1)) for k in range(4)]
    assert {np.ascontiguousarray(g).tobytes() for g in group} == {i.contiguous().numpy().tobytes() for i in images}
    assert len({image.contiguous().numpy().tobytes() for image in images}) == 8
    assert all(torch.equal(undo_symmetry(image, s), patch) for s, image in enumerate(images))
