"""Training of the eigenimage network: what it sees, that it learns, that it resumes with the same bits."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from lkca.degradation import Degradation
from sharpen.image.deconvolve import sharpen_tensor
from sharpen.image.model import EigenimageNetwork, load_network
from sharpen.study import samples, training

TINY = {"blocks": 1, "channels": 16}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few, small scenes and steps."""
    for name, value in {"STEPS": 4, "BATCH": 2, "POOL": 3, "FRESH": 1}.items():
        monkeypatch.setattr(samples, name, value)
    monkeypatch.setattr(training, "VALIDATION_SEEDS", range(1_000_000, 1_000_001))
    monkeypatch.setattr(training, "VALIDATION_DEGRADATIONS", (Degradation("gaussian:0.5", 30.0),))


def test_degradations_are_varied() -> None:
    drawn = [samples.draw_degradation(np.random.default_rng(seed)) for seed in range(200)]
    kinds = [degradation.psf.partition(":")[0] for degradation, _ in drawn]
    assert {"bicubic", "mean", "gaussian"} == set(kinds)
    assert any("," in degradation.psf for degradation, _ in drawn)  # anisotropic
    assert 0.2 < np.mean([np.isinf(degradation.noise) for degradation, _ in drawn]) < 0.6
    assert any(degradation.psf != assumed for degradation, assumed in drawn)


def test_targets_are_what_the_wiener_estimate_lacks() -> None:
    images = samples.make_images(7, 4)
    count = samples.COMPONENTS + samples.BANDS + samples.MIXTURES
    assert images.inputs.shape == (count, 5, 24, 24)
    assert images.targets.shape == (count, 16, 24, 24)
    assert images.inputs.isfinite().all() and images.targets.isfinite().all()
    assert images.inputs[:, 0].flatten(1).std(dim=1, correction=0) == pytest.approx(1, abs=1e-3)
    assert images.targets[:4].flatten(1).mean(dim=1).abs().max() < 0.1


def test_training_learns_and_its_weights_sharpen(small: None) -> None:
    folder = training.train(4, 2, log=lambda line: None, **TINY)
    history = pd.read_csv(folder / "history.csv")
    assert len(history) == 2 and history["validation"].notna().all()
    again = training.train(4, 1, start=folder / "weights.safetensors", log=lambda line: None, **TINY)
    assert load_network(again)[1].options == TINY
    record = json.loads((folder / "record.json").read_text())
    assert record["epochs"] == 2 and record["validation, dB over the Wiener estimate"] == pytest.approx(
        history["validation"].max(), abs=1e-4
    )


def test_a_training_that_is_resumed_ends_with_the_same_bits(small: None, tmp_path: Path) -> None:
    whole = training.train(4, 3, folder=tmp_path / "whole", log=lambda line: None, **TINY)
    part = tmp_path / "part"
    limit, seen = 1, []

    def stop(line: str) -> None:
        seen.append(line)
        if len(seen) == limit:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.train(4, 3, folder=part, log=stop, **TINY)
    resumed = training.train(4, 3, folder=part, log=lambda line: None, **TINY)
    columns = ["loss", "validation"]
    one, other = (pd.read_csv(folder / "history.csv")[columns] for folder in (whole, resumed))
    pd.testing.assert_frame_equal(one, other)


def test_conditions_reach_the_network() -> None:
    network = EigenimageNetwork(4, **TINY).eval()
    torch.nn.init.normal_(network.upsampler[0].weight, std=0.1)
    lr = torch.rand(6, 20, 20, generator=torch.Generator().manual_seed(0))
    images = [sharpen_tensor(lr, 4, "gaussian:0.5", noise, network) for noise in (40.0, 20.0)]
    assert (images[0] - images[1]).abs().max() > 1e-3
