"""The list of models: names, options, refusals; a new file is all that a new model needs."""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import lkca.models
from lkca.models import BASELINES, MODELS, build_model, model_names, model_options

WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero")  # need values on the host


def test_models_are_in_the_order_of_the_papers_tables() -> None:
    assert list(MODELS) == [
        *("bicubic", "back-projection", "vdsr", "3dfcnn", "sspsr", "msdformer", "essaformer"),
        *("lkca", "lkca-lr", "lkca-kd", "lkca-best"),
    ]
    assert set(MODELS) - set(model_names()) == {"back-projection", "lkca-best"}
    assert BASELINES == ("bicubic", "back-projection")
    for feature in ("label", "colour"):  # no two look alike
        assert len({getattr(model, feature) for model in MODELS.values()}) == len(MODELS)


def test_a_new_model_is_one_new_file(tmp_path: Path) -> None:
    package = Path(lkca.models.__file__).parents[1]
    shutil.copytree(package, tmp_path / "lkca", ignore=shutil.ignore_patterns("*.pyc", "*.csv", "*.json"))
    (tmp_path / "lkca" / "models" / "newnet.py").write_text(
        "from lkca.models.registry import Model, register\nfrom lkca.models.vdsr import VDSR\n"
        'register(Model("new", VDSR, "New-Net", "#123456", of_paper=False, small={"blocks": 1}))\n'
    )
    code = (
        "from lkca.models import *\n"
        "print(list(MODELS)[-1], model_options('new')['upsampler'], 'new' in model_names())\n"
        "print(type(build_model('new', 3, 2, channels=8, upsampler='grouped', groups=4)).__name__)\n"
    )
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path, env=env
    )
    assert done.stdout.split() == ["new", "own", "False", "VDSR"], done.stderr


def test_a_name_cannot_be_taken_twice() -> None:
    with pytest.raises(ValueError, match="'vdsr'"):
        lkca.models.register(MODELS["vdsr"])
    assert len(MODELS) == 11


def test_options_and_their_defaults() -> None:
    shared = {"blocks": 16, "channels": 128, "drop_path": 0.1, "upsampler": "grouped", "rank": 0}
    shared |= {"channel_attention": True, "large_kernel": True}
    assert model_options("lkca") == {**shared, "groups": 1}
    assert model_options("lkca-lr") == model_options("lkca-kd") == {**shared, "groups": 8}
    assert model_options("vdsr") == {"blocks": 18, "channels": 64, "upsampler": "own", "groups": 8, "rank": 0}
    assert model_options("back-projection") == {"steps": 5}


@pytest.mark.parametrize(
    ("name", "bands", "scale", "options", "message"),
    [
        ("lkca-xl", 8, 4, {}, "'lkca-xl'"),
        ("lkca", 8, 4, {"block": 2}, "'block'.*blocks=16"),
        ("bicubic", 8, 4, {"blocks": 2}, "'blocks'"),
        ("lkca", 8, 3, {}, "scale .* got 3"),
        ("lkca", 8, 4.0, {}, r"scale .* got 4\.0"),
        ("lkca", 0, 4, {}, "bands .* got 0"),
        ("lkca", True, 4, {}, "bands"),
        ("lkca", 8, 4, {"blocks": 0}, "blocks .* got 0"),
        ("lkca", 8, 4, {"blocks": 10**6}, "blocks .* got 1000000"),
        ("lkca", 8, 4, {"groups": 2.0}, "groups"),
        ("lkca", 8, 4, {"channels": 24}, "channels .* got 24"),
        ("lkca", 8, 4, {"channels": 16, "groups": 3}, "groups .* got 3"),
        ("lkca", 8, 4, {"drop_path": 1.0}, r"drop_path .* got 1\.0"),
        ("lkca", 8, 4, {"drop_path": math.nan}, "drop_path .* got nan"),
        ("lkca", 8, 4, {"drop_path": "0.1"}, "drop_path"),
        ("lkca", 8, 4, {"upsampler": "own"}, "upsampler .* got 'own'"),
        ("sspsr", 8, 4, {"upsampler": "best"}, "upsampler .* got 'best'"),
        ("lkca-lr", 6, 4, {"upsampler": "svd", "rank": -1}, "rank .* got -1"),
        ("lkca-lr", 6, 4, {"upsampler": "svd", "rank": 97}, "rank .* 96, got 97"),
        ("lkca-lr", 6, 4, {"rank": 3}, "rank, got 3"),
        ("3dfcnn", 11, 4, {"channels": 1}, "channels"),
        ("sspsr", 11, 4, {"channels": 15}, "channels"),
        ("sspsr", 11, 4, {"group_bands": 4, "group_overlap": 4}, "group_overlap"),
        ("msdformer", 11, 4, {"channels": 12, "heads": 4}, "channels"),
        ("msdformer", 11, 4, {"channels": 48, "heads": 5}, "heads"),
        ("essaformer", 11, 4, {"channels": 18}, "channels"),
        ("essaformer", 11, 4, {"dropout": 1.0}, "dropout"),
    ],
)
def test_refusals_name_what_is_wrong(name: str, bands: int, scale: int, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model(name, bands, scale, **options)


class WatchDevices(TorchDispatchMode):
    """Collects every operation that needs the host, moves data, or computes elsewhere than on the meta device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):  # noqa: ANN001, ANN204 - torch's signature
        result = operation(*args, **(kwargs or {}))
        name = operation.overloadpacket.__name__
        tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, torch.Tensor)]
        if {t.device.type for t in tensors if t.dim()} - {"meta"} or name in WAITS:  # a number may come from the host
            self.found.append(name)
        return result


@pytest.mark.parametrize("name", MODELS)
def test_forward_stays_on_its_device(name: str) -> None:
    with torch.device("meta"):
        model = build_model(name, 8, 4, **({"blocks": 1} if "lkca" in name else {})).eval()
    x = torch.empty(2, 8, 16, 16, device="meta")
    with torch.no_grad():
        model(x)  # fills caches
        with WatchDevices() as watch:
            assert model(x).shape == (2, 8, 64, 64)
    assert watch.found == []
