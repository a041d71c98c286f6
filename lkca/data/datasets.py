"""The datasets of the study: one declaration each. How each kind is read stands in `lkca.data.loaders`.

A dataset has named readings where its published protocol leaves something open; the first is the default. All files are
looked for in `LKCA_DATA` (default: `data/` in the project). The small scenes of many sensors stand in
`lkca.data.small_scenes`.
"""

from lkca.data.small_scenes import SMALL_SCENES
from lkca.data.split import Dataset, FreshScenes, MadeScenes, Reading, SensorReading

MADE_COUNTS = (1, 4, 16, 64)  # numbers of made scenes, where training sees the same ones again and again

_DECLARATIONS = (
    Dataset(
        name="chikusei",
        title="Chikusei",
        sensor="Hyperspec-VNIR-C",
        place="Chikusei",
        pixel_size=2.5,
        files=("HyperspecVNIR_Chikusei_20140729.mat",),
        key="chikusei",
        shape=(128, 2517, 2335),
        rows=(106, 2410),
        columns=(143, 2191),
        wavelength_range=(363, 1018),
        readings={"maximum": Reading(512, 4)},
        patch={2: 32, 4: 64, 8: 128},
        stride={2: 16, 4: 32, 8: 64},
        kind="big_scene",
        source="the Chikusei page of N. Yokoya (naotoyokoya.com, Download), the MATLAB file of the airborne hyperspectral data",
        citation="N. Yokoya, A. Iwasaki, Airborne hyperspectral data over Chikusei, SAL-2016-05-27, The University of Tokyo, 2016",
    ),
    Dataset(
        name="houston2018",
        title="Houston 2018",
        sensor="CASI",
        place="Houston",
        pixel_size=1,
        files=("20170218_UH_CASI_S4_NAD83.hdr", "20170218_UH_CASI_S4_NAD83.pix"),
        shape=(50, 1202, 4172),
        bands=(0, 48),
        wavelength_range=(380, 1050),
        readings={"512": Reading(512, 8), "256": Reading(256, 8)},
        patch={2: 32, 4: 64, 8: 128},
        stride={2: 16, 4: 32, 8: 64},
        kind="big_scene",
        source="the IEEE GRSS Data Fusion Contest 2018 (hyperspectral.ee.uh.edu, behind a form), folder FullHSIDataset",
        citation="Y. Xu et al., Advanced multi-sensor optical remote sensing for urban land use and land cover classification, IEEE JSTARS 12(6), 2019",
        notes="The last 2 of the file's 50 bands are not spectral.",
    ),
    Dataset(
        name="pavia_centre",
        title="Pavia Centre",
        sensor="ROSIS",
        place="Pavia",
        pixel_size=1.3,
        files=("Pavia.mat",),
        key="pavia",
        shape=(102, 1096, 715),
        wavelength_range=(430, 860),
        readings={
            "224-8000": Reading(224, 3, 8000.0),
            "224-maximum": Reading(224, 3),
            "232-8000": Reading(232, 3, 8000.0),
            "232-maximum": Reading(232, 3),
        },
        patch={2: 32, 4: 64, 8: 128},
        stride={2: 16, 4: 32, 8: 64},
        kind="big_scene",
        source="the Hyperspectral Remote Sensing Scenes page of the University of the Basque Country (ehu.eus/ccwintco)",
        citation="Pavia Centre, ROSIS sensor; P. Gamba, Telecommunications and Remote Sensing Laboratory, University of Pavia",
    ),
    Dataset(
        name="la_aviris",
        title="Los Angeles AVIRIS (four small ABU scenes)",
        sensor="AVIRIS",
        place="Los Angeles",
        pixel_size=7.1,
        files=tuple(f"abu-{n}.mat" for n in ("airport-1", "airport-2", "airport-3", "urban-4", "urban-5")),
        key="data",
        shape=(205, 100, 100),
        readings={n: n for n in ("airport-3", "airport-1", "urban-4", "urban-5+airport-2")},
        rgb=(29, 18, 9),  # [assumed] about 650, 550 and 460 nm: the files carry no wavelengths
        patch={2: 32, 4: 64, 8: 64},
        stride={2: 4, 4: 4, 8: 4},
        kind="regions",
        source="the Airport-Beach-Urban (ABU) anomaly-detection set on the page of X. Kang (xudongkang.weebly.com, data sets)",
        citation="X. Kang et al., Hyperspectral anomaly detection with attribute and edge-preserving filters, IEEE TGRS 55(10), 2017",
        notes="Band 146 sits at a removed water-absorption gap.",
    ),
    Dataset(
        name="sensors",
        title="scenes of many sensors",
        readings={
            "made": SensorReading(real=False),
            **{f"made-{count}": SensorReading(real=False, made=count) for count in MADE_COUNTS},
            "all": SensorReading(real=True),
            **{
                f"without-{sensor}": SensorReading(True, sensor, "HYDICE" if sensor == "ROSIS" else "ROSIS")
                for sensor in ("AVIRIS", "ROSIS", "HYDICE", "CASI", "SAMSON", "HySpex")
            },
        },
        patch={2: 32, 4: 48, 8: 96},
        stride={2: 1, 4: 1, 8: 1},
        kind="sensors",
        source="made by lkca.data.made_scenes from seeds; the small real scenes as declared",
        citation="",
    ),
    Dataset(
        name="synthetic",
        title="synthetic scenes",
        readings={
            "default": MadeScenes(train_seeds=(0, 1, 2), test_seed=3, size=160, bands=48),
            "scene-0": MadeScenes(train_seeds=(1, 2, 3), test_seed=0, size=160, bands=48),
            "scene-1": MadeScenes(train_seeds=(2, 3, 0), test_seed=1, size=160, bands=48),
            "scene-2": MadeScenes(train_seeds=(3, 0, 1), test_seed=2, size=160, bands=48),
            "tiny": MadeScenes(train_seeds=(0, 1), test_seed=2, size=48, bands=8),
        },
        patch={2: 32, 4: 32, 8: 64},
        stride={2: 16, 4: 16, 8: 16},
        kind="made_scenes",
        source="made by lkca.data.synthetic from a seed",
        citation="",
    ),
    Dataset(
        name="fresh",
        title="synthetic scenes without end",
        readings={
            "default": FreshScenes(range(2_000_000, 2_000_004), range(1_000_000, 1_000_008), size=160, bands=48),
            "tiny": FreshScenes(range(2_000_000, 2_000_001), range(1_000_000, 1_000_002), size=48, bands=8),
        },
        patch={2: 32, 4: 32, 8: 64},
        stride={2: 32, 4: 32, 8: 64},
        kind="fresh_scenes",
        source="made by lkca.data.synthetic, from new seeds as training goes",
        citation="",
    ),
    *SMALL_SCENES,
)  # fmt: skip

DATASETS: dict[str, Dataset] = {dataset.name: dataset for dataset in _DECLARATIONS}
