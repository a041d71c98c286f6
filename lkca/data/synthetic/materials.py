"""Define the materials of the synthetic scenes and their reflectance spectra.

Spectra are sums of Gaussians and sigmoids of the wavelength, with the known features of the materials: the green peak,
red edge and plateau of leaves, their water absorption at 970 nm, iron in soil and tiles at 880 nm, and water that is
dark beyond the red.
"""

import numpy as np

MATERIALS = (
    "asphalt", "concrete", "soil", "gravel", "grass", "crop", "cereal", "tree", "water", "clay tile", "slate",
    "metal", "membrane", "blue plastic",
)  # fmt: skip
ASPHALT, CONCRETE, SOIL, GRAVEL, GRASS, CROP, CEREAL, TREE, WATER, TILE, SLATE, METAL, MEMBRANE, PLASTIC = range(
    len(MATERIALS)
)
# Standard deviation of the brightness of each material, relative to its mean, in the order of MATERIALS.
ROUGHNESS = np.array([0.05, 0.05, 0.09, 0.08, 0.08, 0.07, 0.06, 0.10, 0.03, 0.07, 0.06, 0.03, 0.03, 0.04])


def material_spectra(wavelengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean reflectance of each material, and the spectrum by which its objects vary.

    Parameters
    ----------
    wavelengths : (B,) nm.

    Returns
    -------
    means, tints : (B, 14) each, in the order of `MATERIALS`. An object has `mean + t * tint`, t in [-1, 1].
    """
    nm = np.asarray(wavelengths, dtype=np.float64)

    def bump(centre: float, width: float) -> np.ndarray:
        return np.exp(-0.5 * ((nm - centre) / width) ** 2)

    def step(centre: float, width: float) -> np.ndarray:
        return 1 / (1 + np.exp(-(nm - centre) / width))

    def leaf(green: float, plateau: float, edge: float) -> np.ndarray:
        pigments = 0.025 + green * bump(552, 32) + 0.4 * green * bump(620, 40) - 0.008 * bump(675, 16)
        return pigments + plateau * step(edge, 13) * (1 + 0.08 * step(830, 50) - 0.09 * bump(972, 22))

    slope = (nm - 700) / 300  # -1 at 400 nm, +1 at 1000 nm
    iron = 0.03 * bump(880, 50)  # ferric iron absorbs near 880 nm in soils and clay
    soil = 0.05 + 0.13 * step(575, 45) + 0.16 * step(800, 130) - 0.5 * iron
    straw = 0.06 + 0.17 * step(560, 50) + 0.13 * step(760, 70) - 0.02 * bump(675, 18) - 0.02 * bump(972, 22)
    tile = 0.06 + 0.19 * step(592, 20) + 0.09 * step(740, 60) - iron
    water = 0.012 + 0.055 * bump(530, 75) * (1 - 0.3 * step(600, 15)) + 0.02 * (1 - step(580, 60))
    plastic = 0.07 + 0.27 * bump(465, 38) + 0.27 * step(790, 35)
    flat = np.ones_like(nm)
    pairs = {
        "asphalt": (0.11 + 0.025 * slope, 0.025 * flat),
        "concrete": (0.19 + 0.08 * step(520, 70) + 0.03 * slope, 0.05 + 0.02 * slope),
        "soil": (soil, 0.03 + 0.05 * step(650, 110)),
        "gravel": (0.15 + 0.11 * step(540, 60) + 0.05 * slope, 0.04 + 0.02 * slope),
        "grass": (leaf(0.065, 0.31, 716), 0.03 * bump(620, 70) + 0.012 - 0.05 * step(716, 14)),
        "crop": (leaf(0.05, 0.36, 719), 0.02 * bump(560, 40) - 0.06 * step(722, 14)),
        "cereal": (straw, 0.05 * step(560, 60) - 0.02 * bump(675, 18)),
        "tree": (leaf(0.035, 0.25, 717), 0.015 * bump(555, 35) + 0.06 * step(720, 14)),
        "water": (water, 0.020 * bump(570, 60)),
        "clay tile": (tile, 0.05 * step(600, 30) - 0.02 * step(780, 60)),
        "slate": (0.095 - 0.01 * slope, 0.03 + 0.012 * slope),
        "metal": (0.33 - 0.03 * bump(850, 60), 0.10 - 0.03 * slope),
        "membrane": (0.10 + 0.36 * step(415, 14) + 0.01 * slope, 0.07 * flat),
        "blue plastic": (plastic, 0.06 * bump(490, 50) - 0.04 * step(790, 35)),
    }
    means, tints = zip(*(pairs[name] for name in MATERIALS), strict=True)
    return np.stack(means, axis=1), np.stack(tints, axis=1)
