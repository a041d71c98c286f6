"""Every network: printed costs, published outputs, every size, gradients, training."""

import functools
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lkca import build_model, cost, resize
from lkca.models import MODELS, model_names
from lkca.models.blocks import BandGroups
from lkca.models.essaformer import squared_share
from lkca.paper.tables import bands_of, paper_costs, paper_table

pytestmark = pytest.mark.filterwarnings("ignore:8 groups do not divide")
GOLDEN = Path(__file__).parent.parent / "golden"
SMALL = {name: dict(model.small) for name, model in MODELS.items()}  # reduced width: everything takes moments
LEARNED = [name for name, model in MODELS.items() if model.learned]
ANY_TYPE = [name for name in LEARNED if name != "lkca-any"]  # which takes float32 alone, see test_any_sensor.py
PUBLISHED = {  # the small configurations of tests/golden/README.md
    "sspsr": {"blocks": 2, "channels": 16, "group_bands": 4, "group_overlap": 1},
    "msdformer": {"blocks": 2, "channels": 48, "heads": 6, "group_bands": 4, "group_overlap": 1},
    "essaformer": {"channels": 16},
}


@pytest.fixture(autouse=True)
def _same_every_time():
    torch.manual_seed(0)


# Costs


@functools.cache
def counted(network: str, bands: int, scale: int) -> tuple[float, float]:
    with torch.device("meta"):
        model = build_model(network, bands, scale)
    found = cost(model, bands)
    return found.params_m, found.macs_g


@pytest.mark.parametrize(
    "row", paper_costs().to_dict("records"), ids=lambda r: f"{r['model']}-{r['dataset']}-{r['scale']}"
)
def test_printed_cost(row):
    network = "lkca-lr" if row["model"] == "lkca-kd" else row["model"]  # one network, trained in two ways
    assert counted(network, bands_of(row["dataset"]), row["scale"]) == (row["params_M"], row["macs_G"])


def test_only_two_rows_of_table_6_are_put_right():
    costs = paper_costs()
    assert len(costs) == 48 and set(costs["model"]) == set(model_names()) - {"bicubic"}
    put_right = costs[costs["corrected"]]
    assert list(zip(put_right["dataset"], put_right["scale"], put_right["model"], strict=True)) == [
        ("houston2018", 4, "vdsr"),
        ("houston2018", 4, "3dfcnn"),
    ]
    printed = costs_as_printed("table6_houston2018", 4)
    assert printed["vdsr"] == counted("3dfcnn", 48, 4) and printed["3dfcnn"] == counted("vdsr", 48, 4)


def costs_as_printed(table: str, scale: int) -> dict[str, tuple[float, float]]:
    rows = paper_table(table).query("scale == @scale")
    return {r["model"]: (r["params_M"], r["macs_G"]) for r in rows.to_dict("records")}


# Outputs


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("channels_last", [False, True])
def test_output_of_the_published_network(name, channels_last):
    golden = np.load(GOLDEN / f"{name}_x4.npz", allow_pickle=False)
    model = build_model(name, 11, 4, **PUBLISHED[name]).eval()
    weights = [torch.tensor(golden[key]) for key in sorted(golden.files) if key.startswith("p")]
    parameters = list(model.parameters())
    assert [tuple(p.shape) for p in parameters] == [tuple(w.shape) for w in weights]
    with torch.no_grad():
        for parameter, weight in zip(parameters, weights, strict=True):
            parameter.copy_(weight)
        x = torch.tensor(golden["x"])
        if channels_last:  # another layout in memory must not change a number
            model, x = (m.to(memory_format=torch.channels_last) for m in (model, x))
        y = model(x)
    assert (y - torch.tensor(golden["y"])).abs().max() <= 2e-5 * golden["y"].std()


def test_vdsr_is_bicubic_plus_its_convolutions():
    model = build_model("vdsr", 5, 2, **SMALL["vdsr"])
    x = torch.rand(2, 5, 6, 4)
    y = x
    for layer in model.body[::2]:
        y = F.relu(F.conv2d(y, layer.weight, padding=1))
    y = F.conv2d(y, model.upsampler[0].weight, padding=1)
    expected = y.reshape(2, 5, 2, 2, 6, 4).permute(0, 1, 4, 2, 5, 3).reshape(2, 5, 12, 8) + resize(x, 2)
    torch.testing.assert_close(model(x), expected)
    assert (model(x) - resize(x, 2)).abs().max() < 0.2  # starts near bicubic


def test_3dfcnn_meets_only_the_middle_of_its_kernels():
    model = build_model("3dfcnn", 5, 2, channels=8)
    x = torch.rand(2, 5, 6, 4)
    y = x
    for number, layer in enumerate(model.layers[::2]):
        middle = layer.weight[:, :, layer.weight.shape[2] // 2]
        y = F.conv2d(F.relu(y) if number else y, middle, layer.bias, padding="same")
    torch.testing.assert_close(model(x), F.pixel_shuffle(y, 2))


@pytest.mark.parametrize("bands", [1, 3, 8, 9, 11, 15, 48, 102, 128, 205])
def test_groups_take_every_band_apart_and_back_together(bands):
    groups = BandGroups(bands, 8, 2)
    assert groups.count == max(1, -(-(bands - 2) // 6))
    assert groups.starts[-1] + groups.size == bands and groups.size == min(8, bands)
    x = torch.rand(2, bands, 3, 4)
    torch.testing.assert_close(groups.merge(groups.split(x)), x)
    of_second = groups.split(x).unflatten(0, (2, -1))[1]
    assert torch.equal(of_second[0], x[1, : groups.size])
    assert torch.equal(of_second[-1], x[1, bands - groups.size :])


def test_groups_one_by_one_give_the_same():
    path = Path(__file__).parents[2] / "benchmarks" / "bench_groups.py"
    spec = importlib.util.spec_from_file_location("bench_groups", path)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    x = torch.rand(3, 11, 6, 5)
    for name, loop in benchmark.LOOPS.items():
        model = build_model(name, 11, 4, **SMALL[name])
        torch.testing.assert_close(model(x), loop(model, x))


# Every size, gradients, training


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize(("bands", "height", "width"), [(1, 1, 1), (3, 1, 5), (11, 4, 3)])
def test_any_bands_scale_and_size(name, scale, bands, height, width):
    model = build_model(name, bands, scale, **SMALL[name]).eval()
    with torch.no_grad():
        y = model(torch.rand(2, bands, height, width))
    assert y.shape == (2, bands, scale * height, scale * width)
    assert y.isfinite().all()


def test_group_overlap_may_be_none():
    model = build_model("sspsr", 11, 2, **SMALL["sspsr"] | {"group_overlap": 0})
    assert model.groups.starts == [0, 4, 7]


def test_squares_do_not_overflow_in_half_precision():
    x = torch.tensor([[[-900.0, 0.0, 900.0]]])
    torch.testing.assert_close(squared_share(x.half()), torch.tensor([[[0.5, 0.0, 0.5]]]))


def test_double_precision_is_kept():
    for name in ANY_TYPE:
        model = build_model(name, 5, 2, **SMALL[name]).double().eval()
        x = torch.rand(1, 5, 4, 4, dtype=torch.float64)
        torch.testing.assert_close(model.float()(x.float()).double(), model.double()(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("3dfcnn", {"channels": 1}, "channels must be at least 2"),
        ("sspsr", {"channels": 15}, "at least 16"),
        ("sspsr", {"group_bands": 4, "group_overlap": 4}, "group_overlap must be less than group_bands"),
        ("msdformer", {"channels": 12, "heads": 4}, "at least 16"),
        ("msdformer", {"channels": 48, "heads": 5}, "heads must divide the 48 channels"),
        ("essaformer", {"channels": 18}, "multiple of 4"),
        ("essaformer", {"dropout": 1.0}, "dropout must be"),
    ],
)
def test_impossible_options_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        build_model(name, 11, 4, **options)


@pytest.mark.parametrize(
    ("name", "channels"), [("msdformer", 24), ("sspsr", 24), ("3dfcnn", 9), ("essaformer", 4), ("vdsr", 1)]
)
def test_every_width_that_the_structure_has(name, channels):
    heads = {"heads": 6} if name == "msdformer" else {}
    model = build_model(name, 5, 4, **SMALL[name] | heads | {"channels": channels})
    assert model(torch.rand(1, 5, 4, 3)).shape == (1, 5, 16, 12)


@pytest.mark.parametrize("name", LEARNED)
def test_gradients_reach_every_parameter_in_use(name):
    options = SMALL[name] | ({"channels": 64} if name == "sspsr" else {})  # 16 leave one unit to an attention's ReLU
    model = build_model(name, 11, 4, **options).eval()
    x = torch.rand(2, 11, 6, 5)
    (model(x) * torch.rand(2, 11, 24, 20)).sum().backward()
    without = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
    assert without == ({"body.0.weight", "body.0.bias"} if name == "msdformer" else set())
    if name == "msdformer":  # the query that the published network computes and drops
        for block in model.transformer:
            query, *used = block.attention.qkv.weight.grad.chunk(3)
            assert not query.any() and all(third.any() for third in used)


# LKCA-Net begins at bicubic, where 25 steps change little: tests/training trains it.
@pytest.mark.parametrize("name", [name for name in LEARNED if not name.startswith("lkca")])
def test_trains(name):
    model = build_model(name, 11, 2, **SMALL[name]).train()
    target = smooth_images(4, 11, 16)
    x = resize(target, 0.5)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = F.l1_loss(model(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < 0.8 * losses[0]
    assert sorted(losses)[len(losses) // 2] < losses[0]


def smooth_images(n: int, bands: int, size: int) -> torch.Tensor:
    return F.interpolate(torch.rand(n, bands, 5, 5), size=(size, size), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize("name", ANY_TYPE)
def test_mixed_precision_gives_numbers(name):
    model = build_model(name, 11, 4, **SMALL[name]).train()
    x = torch.rand(2, 11, 6, 5)
    x[0] = 0  # a black image: no spectrum to divide by
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = model(x)
        loss = y.float().square().mean()
    loss.backward()
    assert y.shape == (2, 11, 24, 20) and y.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    exact = model.eval()(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model(x)
    assert (rounded - exact).abs().max() < 0.1 * exact.std()
