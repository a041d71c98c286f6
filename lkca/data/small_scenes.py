"""Declare the small real scenes of several sensors and places, in a fixed order.

Of each, the held-out quarter tests and the rest trains. Places are from the literature, not from the files. No two
scenes share pixels, but scenes of one `place` are not independent.
"""

from lkca.data.dataset import Dataset

_ABU = {
    "key": "data",
    "source": "the Airport-Beach-Urban (ABU) anomaly-detection set on the page of X. Kang (xudongkang.weebly.com, data sets)",
    "citation": "X. Kang et al., Hyperspectral anomaly detection with attribute and edge-preserving filters, IEEE TGRS 55(10), 2017",
}  # fmt: skip
_UNMIXING = {
    "key": "data",
    "citation": "F. Zhu et al., Spectral unmixing via data-guided sparsity, IEEE TIP 23(12), 2014",
}
AVIRIS_RGB = (29, 18, 9)  # [assumed] about 650, 550 and 460 nm where a file carries no wavelengths
_PIECE = "not published in this form; a small piece of"


def _small(name: str, title: str, sensor: str, place: str, **facts: object) -> Dataset:
    return Dataset(
        name=name,
        title=title,
        sensor=sensor,
        place=place,
        variants={"held-out-quarter": None},
        # At x8 no more than 40: the smallest scene must hold training patches beside the validation strip.
        patch={2: 32, 4: 32, 8: 40},
        stride={2: 4, 4: 4, 8: 4},
        kind="single_scene",
        **facts,
    )


def _abu(region: str, sizes: tuple[int, int, int], place: str, **facts: object) -> Dataset:
    name = f"abu-{region}"
    facts = {"files": (f"{name}.mat",), **_ABU, "rgb": AVIRIS_RGB, **facts}
    return _small(name, f"ABU {region}, {place}", "AVIRIS", place, shape=sizes, **facts)


def _indian_pines_wavelengths() -> list[float]:
    from tensorly.datasets import load_indian_pines

    return load_indian_pines().ticks[1]


SMALL_SCENES = (
    _abu("airport-1", (205, 100, 100), "Los Angeles"),
    _abu("airport-3", (205, 100, 100), "Los Angeles"),
    _abu("urban-4", (205, 100, 100), "Los Angeles"),
    _abu(
        "urban-5+airport-2",
        (205, 100, 100),
        "Los Angeles",
        files=("abu-urban-5.mat", "abu-airport-2.mat"),
        side_by_side=((0, 80), (0, 100)),
        # The last 20 columns of urban-5 are the first 20 of airport-2, pixel for pixel: the two are one scene.
    ),
    _abu("beach-1", (188, 150, 150), "Cat Island"),  # mostly water
    _abu("beach-2", (193, 100, 100), "San Diego", left_out=((139, 140),)),  # mostly water; one dead band
    _abu("beach-3", (188, 100, 100), "Bay Champagne"),  # half water
    _abu("urban-1", (204, 100, 100), "Texas coast"),
    _abu("urban-2", (207, 100, 100), "Texas coast"),
    _abu("urban-3", (191, 100, 100), "Gainesville"),
    _small(
        "jasper_ridge", "Jasper Ridge", "AVIRIS", "Jasper Ridge",
        files=("jasper_ridge.mat",), shape=(224, 100, 100), rgb=AVIRIS_RGB,
        left_out=((0, 3), (107, 112), (153, 166), (219, 224)),  # the 26 bands that its publishers leave out
        source="the hyperspectral unmixing data sets of F. Zhu, all 224 bands",
        **_UNMIXING,
    ),
    _small(
        "gs_town", "AVIRIS, a town", "AVIRIS", "unnamed town",
        files=("gs_town.mat",), key="data", shape=(224, 90, 90),
        # Blank bands. The wavelengths step back where two of the instrument's spectrometers overlap.
        left_out=((0, 2), (96, 116), (153, 171), (221, 224)),
        source=f"{_PIECE} an AVIRIS flight line of NASA/JPL (aviris.jpl.nasa.gov), with wavelengths",
        citation="AVIRIS, NASA Jet Propulsion Laboratory",
    ),
    _small(
        "indian_pines", "Indian Pines", "AVIRIS", "Indian Pines",
        files=("Indian_pines_corrected.npy",), package="tensorly", shape=(200, 145, 145),
        wavelengths=_indian_pines_wavelengths,
        source="the Python package tensorly 0.9 or newer, which ships it (CC BY 3.0)",
        citation="M. F. Baumgardner, L. L. Biehl, D. A. Landgrebe, 220 band AVIRIS hyperspectral image data set: June 12, 1992 Indian Pine test site 3, Purdue University Research Repository, doi:10.4231/R7RX991C, 2015",
    ),
    _small(
        "pavia_crop", "Pavia Centre, a crop", "ROSIS", "Pavia",
        files=("pavia_centre_crop.mat",), key="data", shape=(102, 105, 120), wavelength_range=(430, 860),
        source=f"{_PIECE} Pavia Centre; see the dataset pavia_centre",
        citation="Pavia Centre, ROSIS sensor; P. Gamba, Telecommunications and Remote Sensing Laboratory, University of Pavia",
    ),
    _small(
        "hydice_urban", "HYDICE urban", "HYDICE", "unnamed suburb",
        files=("hydice_urban.mat",), key="data", shape=(175, 80, 100),
        source="the 80x100 urban scene of HYDICE that papers on anomaly detection share",
        citation="HYDICE sensor, US Naval Research Laboratory",
    ),
    _small(
        "muufl_crop", "MUUFL Gulfport, a crop", "CASI", "Gulfport",
        files=("muufl_crop.mat",), key="data", shape=(64, 90, 90),
        source=f"{_PIECE} MUUFL Gulfport (github.com/GatorSense/MUUFLGulfport)",
        citation="P. Gader et al., MUUFL Gulfport hyperspectral and LiDAR airborne data set, University of Florida, REP-2013-570, 2013",
        # Normalised by its publisher. The sensor is of the same family as Houston 2018's.
    ),
    _small(
        "samson", "Samson", "SAMSON", "unnamed shore",
        files=("samson.mat",), shape=(156, 95, 95),
        source="the hyperspectral unmixing data sets of F. Zhu",
        **_UNMIXING,
        # Normalised by its publisher.
    ),
    _small(
        "hysu", "HySU Oberpfaffenhofen", "HySpex", "Oberpfaffenhofen",
        files=("hysu_full.hdr", "hysu_full.tif"), shape=(135, 86, 123),
        source="the DLR HySU benchmark (DLR, Remote Sensing Technology Institute)",
        citation="D. Cerra et al., DLR HySU - a benchmark dataset for spectral unmixing, Remote Sensing 13, 2559, 2021",
    ),
)  # fmt: skip
