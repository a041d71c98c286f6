"""Runs that begin with the weights of another run, and runs with more patience."""

from dataclasses import replace

import pytest
import torch

from lkca.checkpoints import load_result
from lkca.run import PATIENCE, Run
from lkca.train import train
from lkca.trainer import PlateauSchedule
from tests.training.tiny import STREAM, STUDENT, TINY, quiet

BEGUN = replace(TINY, epochs=2, start_from={"epochs": 1, "learning_rate": 1e-3})


def weights(run: Run) -> dict[str, torch.Tensor]:
    return load_result(run).model().state_dict()


def test_defaults_stay_out_of_the_hash_and_other_values_do_not() -> None:
    assert Run(start_from={}, patience=PATIENCE, options={"channel_attention": True}, model="lkca").hash == (
        Run(model="lkca").hash
    )
    others = [TINY, BEGUN, replace(BEGUN, start_from={"epochs": 2}), replace(TINY, patience=9)]
    others += [replace(TINY, options={**TINY.options, name: False}) for name in ("channel_attention", "large_kernel")]
    assert len({run.hash for run in others}) == len(others)
    assert Run(**BEGUN.settings()) == BEGUN and TINY.start() is None
    assert BEGUN.start() == replace(TINY, epochs=1, learning_rate=1e-3)


@pytest.mark.parametrize("wrong", [{"epoch": 3}, {"dataset": "nowhere"}, {"epochs": 0}])
def test_impossible_starts_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(TINY, start_from=wrong)


def test_a_run_begins_with_the_weights_of_another_and_keeps_them_if_it_finds_no_better() -> None:
    hopeless = replace(BEGUN, learning_rate=1e-30, final_learning_rate=1e-30)
    train(hopeless, "cpu", quiet)
    first = weights(hopeless.start())
    assert all(torch.equal(tensor, first[name]) for name, tensor in weights(hopeless).items())
    improved = replace(TINY, epochs=3, start_from={"epochs": 1, "learning_rate": 0.1})  # from bad weights
    validation = train(improved, "cpu", quiet).history["validation"].max()
    assert validation > load_result(improved.start()).history["validation"].max() + 0.1


def test_teacher_and_student_begin_with_their_own_weights() -> None:
    student = replace(STUDENT, epochs=1, start_from={"epochs": 1, "stride": 16})
    train(student, "cpu", quiet)
    for run in (student.start(), student.teacher(), student.teacher().start(), student.start().teacher()):
        assert load_result(run).run == run
    assert student.start().teacher() == student.teacher().start()


def test_a_network_that_begins_on_a_stream_is_averaged_from_its_first_step_on() -> None:
    start = {"epochs": 1, "learning_rate": 1e-3, "final_learning_rate": 1e-6}
    run = replace(STREAM, epochs=1, learning_rate=1e-30, final_learning_rate=1e-30, start_from=start)
    train(run, "cpu", quiet)
    first, found = weights(run.start()), weights(run)
    assert all(torch.equal(tensor, first[name]) for name, tensor in found.items())


def test_twice_the_patience_waits_twice_as_long() -> None:
    flat = [{"validation": 30.0}] * 17
    assert PlateauSchedule(1.0, 300, 8).falls(flat) == 2 and PlateauSchedule(1.0, 300, 16).falls(flat) == 1
