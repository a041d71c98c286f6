"""Training on made scenes without end: what trains when, the rule that ends it, interruptions."""

import numpy as np
import pytest
import torch

from lkca.data.loaders import load_dataset
from lkca.training import fresh_trainer
from lkca.training.fresh_trainer import FALL, FALLS, MEMORY, PATIENCE, POOL, RISE, WARM_UP, FreshTrainer, falls
from lkca.training.run import Distillation, Run
from lkca.training.train import train
from lkca.training.trainer import fresh_model
from lkca.training.weights import Passport
from tests.training.tiny_run import Stop, elsewhere, interrupted_after, outcome


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_trainer, "STEPS", 3)


def tiny(**settings: object) -> Run:
    given = {"dataset": "fresh", "reading": "tiny", "options": {"blocks": 1, "channels": 16}, "epochs": 3, "batch": 4}
    return Run(**{**given, **settings})


def trainer(run: Run) -> FreshTrainer:
    split = load_dataset("fresh", "tiny")
    model = fresh_model(run, split.bands)
    passport = Passport(run.model, split.bands, run.scale, dict(run.options), 1.0, None, "fresh", run.name, 8, None)
    plan = fresh_trainer.FreshScenes(range(1), range(1), 48, 8)
    return FreshTrainer(run, model, passport, split.validation, plan, None, torch.device("cpu"), print)


def test_falls_where_validation_stopped_rising() -> None:
    rising = [RISE * 1.01 * i for i in range(30)]
    assert falls(rising) == 0
    assert falls([*rising, *[rising[-1]] * (PATIENCE - 1)]) == 0
    assert falls([*rising, *[rising[-1]] * PATIENCE]) == 1
    assert falls([*rising, *[rising[-1]] * (PATIENCE * FALLS)]) == FALLS
    # slower than RISE an epoch, but still rising by it within PATIENCE epochs
    assert falls([RISE * 1.01 / (PATIENCE - 1) * i for i in range(200)]) == 0


def test_learning_rate_follows_the_rule_and_ends_training() -> None:
    training = trainer(tiny(epochs=1000))
    flat = [dict.fromkeys(("epoch", "loss", "learning_rate", "seconds"), 0.0) | {"validation": 30.0}] * 1
    training.history = flat * (1 + PATIENCE)
    assert training._learning_rate(WARM_UP) == pytest.approx(training.run.learning_rate * FALL)
    assert training._learning_rate(0) == pytest.approx(training.run.learning_rate * FALL / WARM_UP)
    assert not training.enough()
    training.history = flat * (1 + FALLS * PATIENCE)
    assert training.enough()


def test_learning_rate_falls_at_the_latest_near_the_end() -> None:
    training = trainer(tiny(epochs=50))
    rates = [training._learning_rate(epoch) / training.run.learning_rate for epoch in range(50)]
    assert rates[:5] == [0.25, 0.5, 0.75, 1, 1]
    assert rates[34:] == [1] + 8 * [FALL] + 7 * [FALL**2]


def test_scenes_train_for_a_few_epochs_and_never_again() -> None:
    training = trainer(tiny())
    first = training.fresh.of_epoch(0)
    later = training.fresh.of_epoch(POOL)
    assert not any(torch.equal(old, new) for old in first.cubes for new in later.cubes)
    assert torch.equal(training.fresh.of_epoch(1).cubes[0], first.cubes[1])
    places = training.fresh.of_epoch(1).positions
    assert not np.array_equal(places, first.positions)
    assert (places[:, 1:] >= 0).all() and (places[:, 1:] + 32 <= 48).all()


def test_neither_seeds_nor_validation_nor_tests_share_scenes() -> None:
    split = load_dataset("fresh", "tiny")
    cubes = [*trainer(tiny()).fresh.of_epoch(0).cubes, *trainer(tiny(seed=1)).fresh.of_epoch(0).cubes]
    cubes += [torch.from_numpy(area.cube) for area in (*split.validation, *split.test)]
    assert not any(torch.equal(one, other) for i, one in enumerate(cubes) for other in cubes[:i])


def test_every_model_of_a_seed_sees_the_same_patches() -> None:
    one, other = (trainer(tiny(model=model)).fresh.of_epoch(2) for model in ("lkca", "vdsr"))
    assert np.array_equal(one.positions, other.positions)
    assert all(torch.equal(a, b) for a, b in zip(one.cubes, other.cubes, strict=True))


@pytest.mark.parametrize("model", ["lkca-lr", "lkca-kd"])
def test_interrupted_run_ends_with_the_same_bits(model: str, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    run = tiny(model=model, distillation=Distillation(teacher_blocks=2) if model == "lkca-kd" else None)
    whole = train(run, "cpu", log=lambda line: None)
    assert len(whole.history) == 3
    expected = outcome(run)
    elsewhere(monkeypatch, tmp_path)
    with pytest.raises(Stop):
        train(run, "cpu", interrupted_after(2, model))
    train(run, "cpu", log=lambda line: None)
    assert outcome(run) == expected


def test_the_exponential_mean_of_the_weights_is_kept() -> None:
    training, means = trainer(tiny()), None
    for hr in training.fresh.of_epoch(0).epoch(4, np.random.default_rng(0), torch.device("cpu")):
        training._gradients(hr, 0)
        training.optimizer.step()
        weights = {name: p.detach().clone() for name, p in training.model.named_parameters()}
        old = means or weights
        means = {name: MEMORY * old[name] + (1 - MEMORY) * weight for name, weight in weights.items()}
    kept = dict(training.kept.named_parameters())
    assert all(torch.allclose(kept[name], mean, rtol=1e-4, atol=1e-7) for name, mean in means.items())
    assert not all(torch.equal(kept[name], weight) for name, weight in weights.items())


def test_ending_by_the_rule_is_not_diverging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fresh_trainer, "falls", lambda validation: FALLS if len(validation) >= 2 else 0)
    run = tiny(epochs=50)
    result = train(run, "cpu", log=lambda line: None)
    assert len(result.history) == 2
    (run.folder / "metrics.json").unlink()
    assert len(train(run, "cpu", log=lambda line: None).history) == 2
    assert '"diverged_in_epoch": null' in (run.folder / "metrics.json").read_text()


def test_a_network_for_any_sensor_does_not_train_on_one() -> None:
    with pytest.raises(ValueError, match="one sensor's"):
        train(tiny(model="lkca-any", options={}), "cpu", log=lambda line: None)
