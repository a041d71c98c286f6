"""`low_rank` on this project's networks and on foreign ones: what is replaced, what stays, what is refused."""

import copy
from collections.abc import Callable

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


def conv(inputs: int, outputs: int, **settings: object) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, **settings)


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


class Wired(nn.Module):
    """A network of named parts that a function connects."""

    def __init__(self, connect: Callable[..., Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.connect = connect
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.connect(self, *inputs)


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


def test_convolutions_are_found_by_what_they_feed() -> None:
    """The function shuffles, far from its convolution, and in another order than the parts are written down."""

    def connect(model: nn.Module, x: Tensor) -> Tensor:
        y = F.gelu(model.norm(model.expand(model.late(x))))
        return F.pixel_shuffle(y, 4) + F.pixel_shuffle(input=model.other(y) + y, upscale_factor=4)

    model = Wired(
        connect,
        late=nn.Conv2d(6, 16, 3, padding=1, padding_mode="reflect", bias=False),
        unused=nn.PixelShuffle(2),
        norm=nn.BatchNorm2d(64),
        other=conv(64, 64),
        expand=nn.Conv2d(16, 64, 5, padding=2),
    ).eval()
    grouped = low_rank(model, groups=16)
    assert upsampling_convolutions(model) == ["expand"]  # `other` is added to something first
    assert (grouped.expand.groups, grouped.expand.kernel_size, grouped.other.groups) == (16, (5, 5), 1)
    assert grouped(torch.rand(1, 6, 5, 5)).shape == (1, 4, 20, 20)
    assert not grouped.training and not grouped.expand.training


@pytest.mark.parametrize(
    "between",
    [
        nn.ReLU(inplace=True),
        nn.PReLU(512),
        Wired(lambda _, x: x * x.sigmoid()),
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


def test_a_convolution_with_two_names_is_replaced_under_both() -> None:
    up, shuffle = conv(64, 256), nn.PixelShuffle(2)
    model = Wired(lambda m, x: shuffle(m.second(shuffle(m.first(m.head(x))))), head=conv(32, 64), first=up, second=up)
    grouped = low_rank(model, groups=8)
    assert grouped.first is grouped.second and grouped.first.groups == 8
    assert count(model) - count(grouped) == 64 * 256 * 9 * 7 // 8


def test_a_spectral_upsampler_in_a_shared_sequence_is_added_once() -> None:
    up = nn.Sequential(conv(16, 24), nn.PixelShuffle(2))
    shared = Wired(lambda m, x: m.up(m.head(x)) + m.again(m.head(x)), head=conv(6, 16), up=up, again=up)
    model = low_rank(shared, groups=2, kind="spectral", rank=2)
    assert len(model.up) == 3 and model.up is model.again
    assert model(torch.rand(1, 6, 4, 4)).shape == (1, 6, 8, 8)


def test_convolutions_grouped_as_much_stay() -> None:
    both = nn.Sequential(conv(32, 64), conv(64, 256, groups=16), nn.PixelShuffle(2), conv(64, 256), nn.PixelShuffle(2))
    grouped = low_rank(both, groups=8)
    assert (grouped[1].groups, grouped[3].groups) == (16, 8)
    assert torch.equal(grouped[1].weight, both[1].weight)
    assert low_rank(nn.Sequential(conv(32, 64, groups=4), nn.PixelShuffle(2)), groups=8)[0].groups == 8


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


def attend_in_windows(side: int) -> nn.Module:
    """Return a network whose windows have to divide the sides of an image."""

    def connect(model: nn.Module, x: Tensor) -> Tensor:
        windows = model.head(x).unflatten(2, (-1, side)).unflatten(4, (-1, side)).softmax(dim=3)
        return F.pixel_shuffle(model.up(windows.flatten(4).flatten(2, 3)), 2)

    return Wired(connect, head=conv(4, 8), up=conv(8, 32))


def read_values(model: nn.Module, x: Tensor) -> Tensor:
    """The meta device has no values to read."""
    return F.pixel_shuffle(model.up(2 * x if x.mean().item() < 1 else x), 2)


@pytest.mark.parametrize(
    "model",
    [*map(attend_in_windows, (7, 8, 16)), Wired(read_values, up=conv(8, 32))],
    ids=["windows of 7", "of 8", "of 16", "reads values"],
)
def test_foreign_networks_run_without_an_example(model: nn.Module) -> None:
    assert low_rank(model, groups=8).up.groups == 8


@pytest.mark.parametrize(
    ("model", "example"),
    [
        (attend_in_windows(5), torch.zeros(1, 4, 10, 10)),
        (
            Wired(
                lambda m, x, y: F.pixel_shuffle(m.up(m.head(x) + m.guide(y)), 2),
                **{"head": conv(4, 8), "guide": conv(3, 8), "up": conv(8, 32)},
            ),
            (torch.zeros(1, 4, 8, 8), torch.zeros(1, 3, 8, 8)),
        ),
        (nn.Sequential(nn.Flatten(1, 2), conv(8, 32), nn.PixelShuffle(2)), torch.rand(1, 2, 4, 8, 8)),
    ],
    ids=["windows of 5", "two inputs", "five dimensions"],
)
def test_an_example_helps_where_the_default_input_does_not_fit(model: nn.Module, example) -> None:
    with pytest.raises(ValueError, match="example="):
        low_rank(model, groups=8)
    grouped = low_rank(model, groups=8, example=example)
    assert [m.groups for m in grouped.modules() if isinstance(m, nn.Conv2d)][-1] == 8


def share_weights() -> nn.Module:
    """Return a network whose upsampling convolution has its weights from another layer."""
    layers = {"head": conv(8, 8), "other": conv(8, 32), "up": conv(8, 32)}
    layers["up"].weight = layers["other"].weight
    return Wired(lambda m, x: F.pixel_shuffle(m.up(m.head(x)), 2) + m.other(m.head(x)).mean(), **layers)


def upsample(*channels: int, groups: int = 1) -> nn.Module:
    return nn.Sequential(conv(*channels, groups=groups), nn.PixelShuffle(2))


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (nn.Sequential(conv(4, 4), nn.ReLU()), {"groups": 2}, "PixelShuffle in Sequential"),
        (nn.Sequential(nn.PixelShuffle(2)), {}, "no convolution"),
        (upsample(6, 12), {"groups": 4}, r"Sequential\.0; possible: 1, 2, 3, 6"),
        (upsample(6, 12), {"groups": 0}, "groups .* got 0"),
        (upsample(6, 12), {"kind": "best"}, "'best'"),
        (upsample(32, 64, groups=8), {}, "already has 8 groups"),
        (upsample(32, 64, groups=16), {}, "already has 16 groups"),
        (upsample(64, 256, groups=16), {"kind": "svd", "rank": 200}, r"Sequential\.0 has 9472 parameters"),
        (upsample(64, 256, groups=16), {"kind": "svd", "groups": 2}, r"Sequential\.0 has 9472 parameters"),
        (upsample(64, 256, groups=16), {"kind": "separable"}, r"Sequential\.0 has 9472 parameters"),
        (share_weights(), {}, "shares weights"),
    ],
)
def test_refusals(model: nn.Module, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        low_rank(model, **options)


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("script", [torch.jit.script, lambda m: torch.jit.trace(m, torch.rand(1, 8, 4, 4))])
def test_scripted_networks_are_refused(script: Callable) -> None:
    with pytest.raises(ValueError, match="script"):
        low_rank(script(upsample(8, 32)))
