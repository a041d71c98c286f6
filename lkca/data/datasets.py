"""Declare the study's datasets.

A dataset is one declaration: here, or in `lkca.data.small_scenes`. Where the published protocol leaves something open,
it names protocol variants; the first is the default. The files belong in `LKCA_DATA` (default: `data/` in the project).
`lkca.data.loaders` reads each kind of dataset.
"""

from pathlib import Path

from lkca.data.dataset import Dataset, OnePlaceOut, SyntheticScenes, TopTiles
from lkca.data.small_scenes import SMALL_SCENES

_STREAM_VALIDATION = range(2_000_000, 2_000_004)
_DECLARATIONS = (
    Dataset(
        name="chikusei",
        title="Chikusei",
        sensor="Hyperspec-VNIR-C",
        place="Chikusei",
        files=("HyperspecVNIR_Chikusei_20140729.mat",),
        key="chikusei",
        shape=(128, 2517, 2335),
        rows=(106, 2410),
        columns=(143, 2191),
        wavelength_range=(363, 1018),
        variants={"maximum": TopTiles(512, 4)},
        patch={2: 32, 4: 64, 8: 128},
        stride={2: 16, 4: 32, 8: 64},
        kind="big_scene",
        source="the Chikusei page of N. Yokoya (naotoyokoya.com, Download), the MATLAB file of the airborne hyperspectral data",
        citation="N. Yokoya, A. Iwasaki, Airborne hyperspectral data over Chikusei, SAL-2016-05-27, The University of Tokyo, 2016",
        steps=(
            "Open https://naotoyokoya.com/Download.html and find 'Airborne hyperspectral data over Chikusei'.",
            "Download the MATLAB version (not ENVI) and unpack it if it comes as an archive.",
            "Cite Yokoya and Iwasaki 2016, as the page asks; its licence is CC BY 3.0.",
        ),
    ),
    Dataset(
        name="houston2018",
        title="Houston 2018",
        sensor="CASI",
        place="Houston",
        files=("20170218_UH_CASI_S4_NAD83.hdr", "20170218_UH_CASI_S4_NAD83.pix"),
        shape=(50, 1202, 4172),
        bands=(0, 48),
        wavelength_range=(380, 1050),
        variants={"512": TopTiles(512, 8), "256": TopTiles(256, 8)},
        patch={2: 32, 4: 64, 8: 128},
        stride={2: 16, 4: 32, 8: 64},
        kind="big_scene",
        source="the IEEE GRSS Data Fusion Contest 2018 (hyperspectral.ee.uh.edu, behind a form), folder FullHSIDataset",
        citation="Y. Xu et al., Advanced multi-sensor optical remote sensing for urban land use and land cover classification, IEEE JSTARS 12(6), 2019",
        steps=(
            "Open https://machinelearning.ee.uh.edu (2018 IEEE GRSS Data Fusion Challenge) and fill in the data's form.",
            "Download the hyperspectral images and unpack FullHSIDataset: the full scene, not the training tiles.",
            "Take both files of the pair, the header (.hdr) and the data (.pix).",
        ),
        # The last 2 of the file's 50 bands are not spectral.
    ),
    Dataset(
        name="pavia_centre",
        title="Pavia Centre",
        sensor="ROSIS",
        place="Pavia",
        files=("Pavia.mat",),
        key="pavia",
        shape=(102, 1096, 715),
        wavelength_range=(430, 860),
        variants={
            "224-8000": TopTiles(224, 3, 8000.0),
            "224-maximum": TopTiles(224, 3),
            "232-8000": TopTiles(232, 3, 8000.0),
            "232-maximum": TopTiles(232, 3),
        },
        patch={2: 32, 4: 64, 8: 128},
        stride={2: 16, 4: 32, 8: 64},
        kind="big_scene",
        urls={"Pavia.mat": "https://www.ehu.eus/ccwintco/uploads/e/e3/Pavia.mat"},
        source="the Hyperspectral Remote Sensing Scenes page of the University of the Basque Country (ehu.eus/ccwintco)",
        citation="Pavia Centre, ROSIS sensor; P. Gamba, Telecommunications and Remote Sensing Laboratory, University of Pavia",
    ),
    Dataset(
        name="la_aviris",
        title="Los Angeles AVIRIS (four small ABU scenes)",
        sensor="AVIRIS",
        place="Los Angeles",
        files=tuple(f"abu-{n}.mat" for n in ("airport-1", "airport-2", "airport-3", "urban-4", "urban-5")),
        key="data",
        shape=(205, 100, 100),
        variants={n: n for n in ("airport-3", "airport-1", "urban-4", "urban-5+airport-2")},
        rgb=(29, 18, 9),  # [assumed] about 650, 550 and 460 nm: the files carry no wavelengths
        patch={2: 32, 4: 64, 8: 64},
        stride={2: 4, 4: 4, 8: 4},
        kind="regions",
        source="the Airport-Beach-Urban (ABU) anomaly-detection set on the page of X. Kang (xudongkang.weebly.com, data sets)",
        citation="X. Kang et al., Hyperspectral anomaly detection with attribute and edge-preserving filters, IEEE TGRS 55(10), 2017",
        steps=(
            "Open http://xudongkang.weebly.com, data sets, and download the Airport-Beach-Urban (ABU) set.",
            "Take the five files named below; they are MATLAB files with a variable 'data'.",
        ),
        # Band 146 borders on a gap where bands in water-vapour absorption were removed.
    ),
    Dataset(
        name="synthetic",
        title="synthetic scenes",
        variants={
            "default": SyntheticScenes(size=160, bands=48, test_seeds=(3,), train_seeds=(0, 1, 2)),
            "scene-0": SyntheticScenes(size=160, bands=48, test_seeds=(0,), train_seeds=(1, 2, 3)),
            "scene-1": SyntheticScenes(size=160, bands=48, test_seeds=(1,), train_seeds=(2, 3, 0)),
            "scene-2": SyntheticScenes(size=160, bands=48, test_seeds=(2,), train_seeds=(3, 0, 1)),
            "tiny": SyntheticScenes(size=48, bands=8, test_seeds=(2,), train_seeds=(0, 1)),
        },
        patch={2: 32, 4: 32, 8: 64},
        stride={2: 16, 4: 16, 8: 16},
        kind="synthetic_scenes",
        source="drawn from a seed by lkca/data/synthetic",
    ),
    Dataset(
        name="synthetic_stream",
        title="synthetic scenes generated on the fly",
        variants={
            "default": SyntheticScenes(size=160, bands=48, test_seeds=range(1_000_000, 1_000_008), validation_seeds=_STREAM_VALIDATION),
            "tiny": SyntheticScenes(size=48, bands=8, test_seeds=range(1_000_000, 1_000_002), validation_seeds=range(2_000_000, 2_000_001)),
            # Test scenes that no other variant contains.
            "64-tests": SyntheticScenes(size=160, bands=48, test_seeds=range(1_000_100, 1_000_164), validation_seeds=_STREAM_VALIDATION),
            "64-bands": SyntheticScenes(size=160, bands=64, test_seeds=range(1_000_000, 1_000_008), validation_seeds=_STREAM_VALIDATION),
        },
        patch={2: 32, 4: 32, 8: 64},
        stride={2: 32, 4: 32, 8: 64},
        kind="synthetic_stream",
        source="drawn by lkca/data/synthetic, from new seeds as training goes",
    ),
    Dataset(
        name="leave_one_out",
        title="the small real scenes, one place left out",
        variants={scene.place: OnePlaceOut(scene.place, bands=64) for scene in SMALL_SCENES},
        patch={2: 32, 4: 32, 8: 40},
        stride={2: 16, 4: 16, 8: 20},
        kind="leave_one_out",
        files=tuple(dict.fromkeys(file for scene in SMALL_SCENES if not scene.package for file in scene.files)),
        source="those of the single scenes; Indian Pines comes with the Python package tensorly",
    ),
    *SMALL_SCENES,
)  # fmt: skip

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _DECLARATIONS}


def dataset_names() -> tuple[str, ...]:
    """Return the names of all datasets."""
    return tuple(DATASETS)


def small_scenes() -> tuple[Dataset, ...]:
    """Return the declarations of the small real scenes, in a fixed order; each has a sensor and a place."""
    return tuple(dataset for dataset in DATASETS.values() if dataset.kind == "single_scene")


def find_dataset(name: str) -> Dataset:
    """Return the declaration of a dataset; for the path of a user's scene file, make one.

    Raises
    ------
    ValueError
        If the name is not a dataset's and does not look like a path.
    """
    if name in DATASETS:
        return DATASETS[name]
    if Path(name).suffix or Path(name).exists():
        return Dataset(
            name=name,
            title=f"own scene {Path(name).name}",
            variants={"held-out-quarter": None},
            patch={2: 32, 4: 32, 8: 64},
            stride={2: 8, 4: 8, 8: 8},
            kind="own_scene",
            source="the user",
        )
    raise ValueError(f"unknown dataset {name!r}: choose one of {', '.join(DATASETS)}, or give the path of a scene file")
