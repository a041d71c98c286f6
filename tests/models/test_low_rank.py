"""`low_rank` on this project's networks and on foreign ones: what is replaced, what stays, what is refused."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune

from lkca.cost import cost
from lkca.models import build_model
from lkca.models.low_rank import low_rank, upsampling_convolutions

SMALL = {  # model -> options, and the convolutions that feed a PixelShuffle at x4
    "vdsr": ({"blocks": 2, "channels": 16}, ["upsampler.0"]),
    "sspsr": ({"blocks": 1, "channels": 16}, ["branch.2", "trunk.2"]),
    "msdformer": ({"blocks": 1, "channels": 48}, ["upsampling.0", "upsampling.2"]),
    "essaformer": ({"blocks": 1, "channels": 16}, ["up.0", "up.2"]),
    "lkca": ({"blocks": 2, "channels": 32}, ["upsampler.0"]),
}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def conv(inputs: int, outputs: int, **settings: object) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **settings)


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", SMALL)
def test_only_the_upsampling_convolutions_change(name: str) -> None:
    options, expected = SMALL[name]
    model = build_model(name, 12, 4, **options)
    before = copy.deepcopy(model.state_dict())
    grouped = low_rank(model, groups=4)
    assert upsampling_convolutions(model) == expected
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(grouped.get_submodule(layer).groups == 4 for layer in expected)
    for key, value in grouped.state_dict().items():
        replaced = any(key.startswith(f"{layer}.") for layer in expected)
        assert replaced or torch.equal(value, before[key]), key
        assert replaced or value.data_ptr() != model.state_dict()[key].data_ptr(), key
    (grouped(torch.rand(1, 12, 5, 6)) ** 2).sum().backward()
    for layer in expected:
        assert all(p.grad is not None and p.grad.any() for p in grouped.get_submodule(layer).parameters())
    assert type(grouped) is type(model) and grouped(torch.rand(2, 12, 3, 4)).shape == (2, 12, 12, 16)


def test_the_cost_falls_by_the_upsamplers_share() -> None:
    model = build_model("vdsr", 128, 4)
    before, after = cost(model, 128), cost(low_rank(model, groups=8), 128)
    upsampler = 64 * 9 * 128 * 16
    assert before.params - after.params == upsampler * 7 // 8
    assert before.macs - after.macs == upsampler * 256 * 7 // 8


class Elsewhere(nn.Module):
    """Shuffles by the function, far from its convolution, in another order than it is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.late = nn.Conv2d(6, 16, 3, padding=1, padding_mode="reflect", bias=False)
        self.unused = nn.PixelShuffle(2)
        self.norm = nn.BatchNorm2d(64)
        self.other = conv(64, 64)
        self.expand = nn.Conv2d(16, 64, 5, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        y = F.gelu(self.norm(self.expand(self.late(x))))
        return F.pixel_shuffle(y, 4) + F.pixel_shuffle(input=self.other(y) + y, upscale_factor=4)


def test_convolutions_are_found_by_what_they_feed() -> None:
    model = Elsewhere().eval()
    grouped = low_rank(model, groups=16)
    assert upsampling_convolutions(model) == ["expand"]  # `other` is added to something first
    assert (grouped.expand.groups, grouped.expand.kernel_size, grouped.other.groups) == (16, (5, 5), 1)
    assert grouped(torch.rand(1, 6, 5, 5)).shape == (1, 4, 20, 20)
    assert not grouped.training and not grouped.expand.training


class Swish(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * x.sigmoid()


@pytest.mark.parametrize(
    "between",
    [
        nn.ReLU(inplace=True),
        nn.PReLU(),
        nn.PReLU(512),
        Swish(),
        nn.InstanceNorm2d(512, affine=True),
        nn.BatchNorm2d(512),
        nn.GroupNorm(8, 512),
        nn.Dropout2d(),
        nn.Sequential(nn.PReLU(), nn.InstanceNorm2d(512, affine=True)),
    ],
    ids=lambda module: type(module).__name__,
)
def test_anything_with_one_input_may_stand_before_the_shuffle(between: nn.Module) -> None:
    model = nn.Sequential(conv(32, 64), conv(64, 512), between, nn.PixelShuffle(4))
    grouped = low_rank(model, groups=8)
    assert count(model) - count(grouped) == 64 * 512 * 9 * 7 // 8
    assert grouped(torch.rand(2, 32, 4, 4)).shape == (2, 32, 16, 16)


class Twice(nn.Module):
    """One convolution under two names, both used."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.shuffle = conv(32, 64), nn.PixelShuffle(2)
        self.first = conv(64, 256)
        self.second = self.first

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.second(self.shuffle(self.first(self.head(x)))))


def test_a_convolution_with_two_names_is_replaced_under_both() -> None:
    model = Twice()
    grouped = low_rank(model, groups=8)
    assert grouped.first is grouped.second and grouped.first.groups == 8
    assert count(model) - count(grouped) == 64 * 256 * 9 * 7 // 8
    assert low_rank(nn.ModuleList([model])[0], groups=8).first.groups == 8


def test_a_spectral_upsampler_in_a_shared_sequence_is_added_once() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bands = 6
            self.head = conv(6, 16)
            self.up = nn.Sequential(conv(16, 24), nn.PixelShuffle(2))
            self.again = self.up

        def forward(self, x: Tensor) -> Tensor:
            return self.up(self.head(x)) + self.again(self.head(x))

    model = low_rank(Shared(), groups=2, kind="spectral", rank=2)
    assert len(model.up) == 3 and model.up is model.again
    assert model(torch.rand(1, 6, 4, 4)).shape == (1, 6, 8, 8)


def test_weights_shared_with_another_layer_are_refused() -> None:
    model = nn.Sequential(conv(8, 8), nn.Identity(), conv(8, 32), nn.PixelShuffle(2))
    model[1] = conv(8, 32)
    model[1].weight = model[2].weight
    with pytest.raises(ValueError, match="shares weights"):
        low_rank(_OnlyLast(model), groups=8)


class _OnlyLast(nn.Module):
    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        head, other, up, shuffle = self.layers
        return shuffle(up(head(x))) + other(head(x)).mean()


def test_convolutions_grouped_as_much_stay() -> None:
    both = nn.Sequential(conv(32, 64), conv(64, 256, groups=16), nn.PixelShuffle(2), conv(64, 256), nn.PixelShuffle(2))
    grouped = low_rank(both, groups=8)
    assert (grouped[1].groups, grouped[3].groups) == (16, 8)
    assert torch.equal(grouped[1].weight, both[1].weight)
    assert low_rank(nn.Sequential(conv(32, 64, groups=4), nn.PixelShuffle(2)), groups=8)[0].groups == 8
    for more in (8, 16):
        with pytest.raises(ValueError, match=f"already has {more} groups"):
            low_rank(nn.Sequential(conv(32, 64, groups=more), nn.PixelShuffle(2)), groups=8)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("svd", {"rank": 200}), ("svd", {"groups": 2}), ("grouped-1x1", {"groups": 1}), ("separable", {})],
)
def test_a_replacement_is_never_larger(kind: str, options: dict) -> None:
    """The convolution has 16 groups: none of these is cheaper."""
    model = nn.Sequential(conv(64, 256, groups=16), nn.PixelShuffle(2))
    with pytest.raises(ValueError, match=r"Sequential\.0 has 9472 parameters|already has"):
        low_rank(model, kind=kind, **{"groups": 8} | options)


@pytest.mark.parametrize("normalise", [nn.utils.weight_norm, parametrizations.weight_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated")
def test_weight_norm_old_or_new_is_kept(normalise) -> None:
    model = nn.Sequential(normalise(conv(32, 64)), normalise(conv(64, 256)), nn.PixelShuffle(2))
    model(torch.rand(1, 32, 4, 4)).sum().backward()  # leaves results as attributes that torch refuses to copy
    grouped = low_rank(model, groups=8)
    assert parametrize.is_parametrized(grouped[1]) and grouped[1].groups == 8
    x = torch.rand(1, 32, 4, 4)
    assert torch.equal(grouped[0](x), model[0](x))
    assert count(model) - count(grouped) == 64 * 256 * 9 * 7 // 8
    assert not parametrize.is_parametrized(low_rank(build_model("vdsr", 8, 2, channels=16, blocks=1)).upsampler[0])


@pytest.mark.parametrize(
    "reparametrise",
    [
        nn.utils.spectral_norm,
        parametrizations.spectral_norm,
        parametrizations.orthogonal,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    ],
    ids=["old spectral norm", "spectral norm", "orthogonal", "pruning"],
)
def test_other_reparametrisations_are_refused_on_the_upsampler_alone(reparametrise) -> None:
    with pytest.raises(ValueError, match=r"weight of Sequential\.1 .*remove"):
        low_rank(nn.Sequential(conv(32, 64), reparametrise(conv(64, 256)), nn.PixelShuffle(2)), groups=8)
    elsewhere = nn.Sequential(reparametrise(conv(32, 64)), conv(64, 256), nn.PixelShuffle(2)).eval()
    assert low_rank(elsewhere, groups=8)(torch.rand(1, 32, 4, 4)).shape == (1, 64, 8, 8)


def test_compiled_networks_come_back_uncompiled() -> None:
    model = nn.Sequential(conv(32, 64), conv(64, 256), nn.PixelShuffle(2))
    grouped = low_rank(torch.compile(model), groups=8)
    assert isinstance(grouped, nn.Sequential) and grouped[1].groups == 8
    model.compile()
    assert low_rank(model, groups=8)[1].groups == 8
    partly = nn.Sequential(torch.compile(conv(32, 64)), conv(64, 256), nn.PixelShuffle(2))
    assert low_rank(partly, groups=8)[1].groups == 8


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("script", [torch.jit.script, lambda m: torch.jit.trace(m, torch.rand(1, 8, 4, 4))])
def test_scripted_networks_are_refused(script) -> None:
    with pytest.raises(ValueError, match="script"):
        low_rank(script(nn.Sequential(conv(8, 32), nn.PixelShuffle(2))), groups=8)


class Windows(nn.Module):
    """Attention in windows needs sides that they divide."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window, self.head, self.up, self.shuffle = window, conv(4, 8), conv(8, 32), nn.PixelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(x)
        windows = y.unflatten(2, (-1, self.window)).unflatten(4, (-1, self.window)).softmax(dim=3)
        return self.shuffle(self.up(windows.flatten(4).flatten(2, 3)))


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.guide, self.up, self.shuffle = conv(4, 8), conv(3, 8), conv(8, 32), nn.PixelShuffle(2)

    def forward(self, x: Tensor, guide: Tensor) -> Tensor:
        return self.shuffle(self.up(self.head(x) + self.guide(guide)))


class ReadsValues(nn.Module):
    """The meta device has no values to read."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.shuffle, self.constant = conv(8, 32), nn.PixelShuffle(2), torch.ones(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.shuffle(self.up(x * self.constant if x.mean().item() < 1 else x))


@pytest.mark.parametrize("model", [Windows(7), Windows(8), Windows(16), ReadsValues()], ids=lambda m: type(m).__name__)
def test_foreign_networks_run_without_an_example(model: nn.Module) -> None:
    assert low_rank(model, groups=8).up.groups == 8


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (Windows(5), torch.zeros(1, 4, 10, 10)),
        (TwoInputs(), (torch.zeros(1, 4, 8, 8), torch.zeros(1, 3, 8, 8))),
        (nn.Sequential(nn.Flatten(1, 2), conv(8, 32), nn.PixelShuffle(2)), torch.rand(1, 2, 4, 8, 8)),
    ],
    ids=["windows of 5", "two inputs", "five dimensions"],
)
def test_an_example_helps_where_the_default_input_does_not_fit(model: nn.Module, example) -> None:
    with pytest.raises(ValueError, match="example="):
        low_rank(model, groups=8)
    grouped = low_rank(model, groups=8, example=example)
    assert [m.groups for m in grouped.modules() if isinstance(m, nn.Conv2d)][-1] == 8


@pytest.mark.parametrize(
    ("model", "groups", "message"),
    [
        (nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU()), 2, "PixelShuffle in Sequential"),
        (nn.Sequential(nn.PixelShuffle(2)), 2, "no convolution"),
        (nn.Sequential(nn.Conv2d(6, 12, 3), nn.PixelShuffle(2)), 4, r"Sequential\.0; possible: 1, 2, 3, 6"),
        (nn.Sequential(nn.Conv2d(6, 12, 3), nn.PixelShuffle(2)), 0, "groups .* got 0"),
    ],
)
def test_refusals(model: nn.Module, groups: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        low_rank(model, groups)
