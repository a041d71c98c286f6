"""The page on a scene, its pictures, and what is said of the texture that was added."""

import base64
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from lkca.data.synthetic.scenes import synthetic_scene
from lkca.resize import resize
from sharpen.files import sharpen_file
from sharpen.image.methods import EigenimageMethod
from sharpen.image.model import load_pretrained
from sharpen.image.tiles import ImageRows
from sharpen.pictures import NO_DATA, Colours, Picture
from sharpen.texture import grid_share, likeness, measure_texture
from sharpen.watch import texture_remarks
from tests.sharpen.scenes import mixture, small_network, write_envi

R = 4


def test_page_holds_pictures_numbers_and_warnings(tmp_path: Path) -> None:
    cube = mixture().round().astype(np.int16)
    cube[0, 0, 0] = -9999
    source, page = write_envi(tmp_path / "a&b.hdr", cube), tmp_path / "page.html"
    with pytest.warns(UserWarning, match="1 of 440 pixels"):
        sharpen_file(source, tmp_path / "out.tif", 2, weights="bicubic", report=page, log=lambda line: None)
    text = page.read_text()
    pictures = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    assert len(pictures) == 4 and all(base64.b64decode(data).startswith(b"\x89PNG") for data in pictures)
    assert "a&amp;b.hdr" in text and "a&b" not in text
    assert re.search(r'class="warning">[^<]*1 of 440 pixels', text) and "40 x 44 pixels" in text
    assert not re.search(r"""(src|href)=["'](?!data:)|@import|url\(""", text)  # nothing from elsewhere


@pytest.mark.parametrize("name", ["page.html", "page.tif", "no/page.html"])
def test_page_is_refused_before_any_work(tmp_path: Path, name: str) -> None:
    source = write_envi(tmp_path / "s.hdr", mixture())
    (tmp_path / "page.html").write_text("mine")
    with pytest.raises((ValueError, OSError), match=name):
        sharpen_file(source, tmp_path / "out.tif", 2, weights="bicubic", report=tmp_path / name)
    assert (tmp_path / "page.html").read_text() == "mine" and not (tmp_path / "out.tif").exists()


def test_a_picture_shows_the_chosen_bands_and_no_data_in_grey() -> None:
    lr = torch.from_numpy(mixture(6, 30, 20))
    missing = np.zeros((30, 20), bool)
    missing[4, 5] = True
    picture = Picture(Colours(ImageRows(lr), None, [4, 2, 0]), (30, 20))
    for first in (0, 8, 16):
        picture.add(first, lr[:, first : min(30, first + 8 if first < 16 else 30)], missing[first : first + 14])
    shown = picture.image()
    assert shown.shape == (30, 20, 3) and (shown[4, 5] == NO_DATA).all()
    low, high = np.percentile(lr[4].numpy()[~missing], (2, 98))
    red = ((lr[4].numpy() - low) / (high - low)).clip(0, 1)
    assert np.allclose(shown[..., 0][~missing], red[~missing], atol=1e-4)


@pytest.mark.parametrize("wavelengths", [None, np.linspace(900, 2500, 6), np.array([650.0, 1, 550, 2, 450, 3])])
def test_every_scene_has_a_picture(wavelengths: np.ndarray | None) -> None:
    lr = torch.from_numpy(mixture(6, 30, 20))
    picture = Picture(Colours(ImageRows(lr), wavelengths), (30, 20))
    picture.add(0, lr)
    shown = picture.image()
    assert shown.shape == (30, 20, 3) and shown.std() > 0.1 and shown.min() >= 0 and shown.max() <= 1


# --- texture


def test_a_grid_is_seen() -> None:
    generator = torch.Generator().manual_seed(0)
    detail = torch.randn(3, 64, 96, generator=generator)
    tile = torch.randn(3, R, R, generator=generator).repeat(1, 16, 24)
    assert grid_share(detail, R) < 0.02 and grid_share(tile, R) > 0.99 and grid_share(torch.zeros(2, 8, 8), R) == 0
    energies = [(x - x.mean((1, 2), keepdim=True)).square().mean() for x in (tile, detail + tile)]
    assert grid_share(detail + tile, R) == pytest.approx(float(energies[0] / energies[1]), abs=0.05)
    sign = torch.ones(1, 64, 96)
    sign[..., 64:] = -1  # a pattern that differs from place to place is a grid all the same
    assert grid_share(sign * tile, R) > 0.9


def test_likeness_of_neighbouring_bands() -> None:
    detail = torch.randn(1, 32, 32, generator=torch.Generator().manual_seed(1)).repeat(5, 1, 1)
    noise = torch.randn(5, 32, 32, generator=torch.Generator().manual_seed(2))
    assert likeness(detail) == pytest.approx(1) and abs(likeness(noise)) < 0.1
    assert likeness(detail + noise) == pytest.approx(0.5, abs=0.05)


def test_true_detail_passes_and_patterns_do_not() -> None:
    truth = torch.from_numpy(synthetic_scene(96, 96, 24, seed=1).cube)
    lr = resize(truth, 1 / R)
    assert not measure_texture(truth - resize(lr, R), lr, R).remarks()
    pattern = torch.randn(24, R, R, generator=torch.Generator().manual_seed(0)).repeat(1, 24, 24) * lr.std()
    assert len(measure_texture(pattern, lr, R).remarks()) == 2


@pytest.mark.parametrize("sigma", [3, 6, 16])
@pytest.mark.parametrize("noise", [0, 0.3])
def test_pretrained_weights_raise_no_false_alarm_on_smooth_scenes(sigma: int, noise: float) -> None:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(sigma)
    maps = gaussian_filter(rng.normal(size=(3, 64, 64)), (0, sigma, sigma))
    cube = 10 + np.tensordot(rng.uniform(0.3, 1, (8, 3)), maps / maps.std(axis=(1, 2), keepdims=True), 1)
    lr = ImageRows(torch.from_numpy((cube + noise * rng.normal(size=cube.shape)).astype(np.float32)))
    method = EigenimageMethod("", load_pretrained(4))
    method.prepare(lr)
    assert texture_remarks(method, lr) == []


def test_calm_water_in_the_middle_of_a_scene_raises_no_alarm() -> None:
    cube = torch.from_numpy(synthetic_scene(96, 96, 12, seed=4).cube)
    water = slice(20, 76)
    cube[:, water, water] = cube.mean(dim=(1, 2))[:, None, None] + 0.004 * cube[:, water, water]
    method = EigenimageMethod("", load_pretrained(4))
    method.prepare(ImageRows(cube))
    assert texture_remarks(method, ImageRows(cube)) == []
    middle = cube[:, 24:72, 24:72].contiguous()
    grid = torch.randn(12, R, R, generator=torch.Generator().manual_seed(0)).repeat(1, 48, 48)
    grid = grid * middle.flatten(1).std(dim=1)[:, None, None]
    assert measure_texture(grid, middle, R).remarks()  # by the water's own contrast
    assert not measure_texture(grid, middle, R, cube.flatten(1).std(dim=1)).remarks()  # the scene's decides


@pytest.mark.parametrize("side", [48, 96])
def test_an_untrained_network_is_noticed(side: int) -> None:
    network = small_network(4)
    with torch.no_grad():
        network.upsampler[0].bias.copy_(torch.randn(16, generator=torch.Generator().manual_seed(0)))
    network.steps = 0
    method, lr = EigenimageMethod("", network), ImageRows(torch.from_numpy(mixture(8, side, side)))
    method.prepare(lr)
    assert texture_remarks(method, lr)
