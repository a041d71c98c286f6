"""LKCA-Any in strips is LKCA-Any on the whole image, also from temporary files, and no-data pixels decide nothing."""

import pytest
import torch

from lkca.models.any_sensor import AnySensor
from lkca.sharpening import any_sensor, streaming
from lkca.sharpening.feature_maps import WholeImage
from tests.small_models import small_any_sensor


@pytest.fixture
def model() -> AnySensor:
    return small_any_sensor()


@pytest.fixture
def lr() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    shares = torch.rand(4, 45, 13, generator=generator)
    shares[:, 20, 5] = 30  # a hot pixel: bounds act, and are the same in strips
    return torch.einsum("bm,mhw->bhw", torch.rand(6, 4, generator=generator), shares)


def joined(model: AnySensor, lr: torch.Tensor, **given: object) -> torch.Tensor:
    strips = list(any_sensor.any_sensor_strips(model, WholeImage(lr), **given))
    assert [row for row, _ in strips] == [sum(s.shape[1] for _, s in strips[:i]) for i in range(len(strips))]
    return torch.cat([strip for _, strip in strips], dim=1)


@pytest.mark.parametrize("resident", (0, int(1e10)), ids=["in memory", "in temporary files"])
@pytest.mark.parametrize(("corrections", "symmetries"), [(0, False), (3, False), (3, True)])
def test_strips_make_the_whole(
    model: AnySensor,
    lr: torch.Tensor,
    resident: int,
    corrections: int,
    symmetries: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model.corrections, model.symmetries = corrections, symmetries
    with torch.inference_mode():
        whole = model(lr[None])[0]
    monkeypatch.setattr(streaming, "resident", lambda: resident)
    monkeypatch.setattr(any_sensor, "strip_rows", lambda *a: 7)
    monkeypatch.setattr(any_sensor, "body_rows", lambda *a: 7)
    assert torch.allclose(joined(model, lr), whole, atol=2e-5 * float(whole.abs().max()))


def test_pixels_without_data_decide_no_direction(model: AnySensor, lr: torch.Tensor) -> None:
    missing = torch.zeros(45, 13, dtype=torch.bool)
    missing[30:, :] = True
    one, other = lr.clone(), lr.clone()
    other[:, missing] = 7 * torch.rand(6, int(missing.sum()), generator=torch.Generator().manual_seed(2))
    near = any_sensor._basis(model, WholeImage(one), missing)
    far = any_sensor._basis(model, WholeImage(other), missing)
    assert torch.equal(near.vectors, far.vectors)
    without = any_sensor._basis(model, WholeImage(other), None)
    assert not torch.allclose(without.vectors, far.vectors, atol=1e-3)
