"""Choose the method that sharpens an image, by its weights and its degradation."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lkca.checkpoints import Metadata
from lkca.degradation import BACK_PROJECTION_STEPS
from lkca.fast import native_bfloat16
from lkca.models import MODELS, check_scale
from lkca.psf import check_psf
from sharpen.image.methods import EigenimageMethod, NetworkMethod, PlannedMethod
from sharpen.image.model import USUAL_SCALE, EigenimageNetwork, load_network, weights_path
from sharpen.image.psf import sensor_psf
from sharpen.image.strips import Method

WITHOUT_WEIGHTS = ("bicubic", "back-projection", "wiener")
PRECISIONS = ("auto", "float32", "bfloat16")
DEFAULT_SPACING = 10.0  # nm between bands, assumed for a single band


def choose_method(
    weights: str | Path | None,
    scale: int | None,
    psf: str = "auto",
    noise: str | float = "auto",
    components: int | None = None,
    symmetries: bool = False,
    precision: str = "float32",
    uncertain: bool = False,
) -> tuple[Method, Metadata | None]:
    """Return the method; with it the metadata of a network for fixed bands and units, None for any other method.

    Parameters
    ----------
    weights : None for the pretrained eigenimage network; "bicubic", "back-projection" or "wiener"; or the folder of a
        run or a weights file.
    scale : 2, 4 or 8; None takes the scale of the weights, else 4.
    psf : of the image, see `lkca.psf`; "sensor:NAME" for one of `sharpen.image.psf.SENSORS`; "auto" estimates it.
    noise : signal-to-noise ratio in dB, infinite for none; "auto" estimates it.
    components : principal components that the network sharpens; None takes its own number.
    symmetries : average over the eight flips and rotations of the image, at eight times the work.
    precision : of the network; "auto" is bfloat16 where the processor has it.
    uncertain : give standard deviations too.

    Raises
    ------
    ValueError
        If a setting does not exist or does not fit the weights.
    FileNotFoundError
        If there is no such weights or kernel file.
    """
    if scale is not None:
        check_scale(scale)
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if psf.startswith("sensor:"):
        psf = sensor_psf(psf.removeprefix("sensor:"))
    if psf != "auto":
        check_psf(psf)
    if noise != "auto" and (not isinstance(noise, int | float) or math.isnan(noise)):
        raise ValueError(f"noise is a signal-to-noise ratio in dB or auto, got {noise!r}")
    noise = None if noise == "auto" else float(noise)
    if components is not None and (not isinstance(components, int) or isinstance(components, bool) or components < 1):
        raise ValueError(f"components must be a whole number of at least 1, got {components!r}")
    if precision == "auto":
        precision = "bfloat16" if native_bfloat16() else "float32"
    name = str(weights or "pretrained")
    if name in WITHOUT_WEIGHTS:
        if components or symmetries or uncertain:
            raise ValueError(f"{name} has no components, symmetries or standard deviations: leave them out")
        scale = scale or USUAL_SCALE
        if name == "wiener":
            return PlannedMethod(name, scale, psf, noise), None
        psf = "bicubic" if psf == "auto" else psf
        return Method(name, scale, BACK_PROJECTION_STEPS if name == "back-projection" else 0, psf), None
    path = weights_path(weights, scale)
    if not path.exists() and name in MODELS:
        raise ValueError(f"{name} is the name of a network: give the folder of a run or its weights.safetensors")
    network, metadata = load_network(path)
    if scale not in (None, metadata.scale):
        raise ValueError(f"{path} sharpens {metadata.scale} times, not {scale}: leave the scale out")
    if not isinstance(network, EigenimageNetwork):
        if components or symmetries or uncertain:
            raise ValueError(
                f"only the eigenimage network has components, symmetries and standard deviations, but {path} "
                f"holds {metadata.model}: leave them out"
            )
        return NetworkMethod(metadata.model, network, metadata.scale, precision), metadata
    network.components, network.symmetries = components or network.components, symmetries
    return EigenimageMethod(f"eigenimage network, weights {name}", network, psf, noise, precision, uncertain), None


def check_bands(
    name: object, bands: int, wavelengths: NDArray[np.float64] | None, metadata: Metadata, weights: object
) -> None:
    """Check that a scene has the bands that weights of a run were trained on.

    wavelengths : (B,) in nm, or None.

    Raises
    ------
    ValueError
        If the number of bands differs, or a band's wavelength differs by more than half the spacing of the bands.
    """
    if bands != metadata.bands:
        raise ValueError(
            f"{name} has {bands} usable bands, {weights} were trained on {metadata.bands} ({metadata.trained_on}): "
            "give these bands with --bands, or use the pretrained weights (no --weights), which take any bands"
        )
    if wavelengths is None or metadata.wavelengths is None:
        return
    trained = np.array(metadata.wavelengths)
    spacing = float(np.median(np.abs(np.diff(trained)))) if bands > 1 else DEFAULT_SPACING
    wrong = np.flatnonzero(np.abs(wavelengths - trained) > spacing / 2)
    if len(wrong):
        raise ValueError(
            f"{name}: band {wrong[0] + 1} is at {wavelengths[wrong[0]]:.1f} nm, {weights} were trained with it at "
            f"{trained[wrong[0]]:.1f} nm ({len(wrong)} of {bands} bands differ by more than half their spacing of "
            f"{spacing:.1f} nm): give the right bands with --bands, or use the pretrained weights"
        )
