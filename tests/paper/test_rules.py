"""The rules: what they say of the paper's own printed tables, and at their thresholds."""

import pandas as pd
import pytest

from lkca.paper.evidence import NOTHING, Difference
from lkca.paper.rules import (
    MAX_RANK_SHARE,
    claims,
    judge_distillation,
    judge_growth,
    judge_hosts,
    judge_loss,
    judge_rank,
    judge_speed,
    printed_distillation,
    printed_gains,
    printed_macs_ratios,
)


def test_the_printed_tables_get_the_words_that_they_deserve() -> None:
    words = {name: claim.word for name, claim in claims().items()}
    assert words == {
        "1": "confirmed",  # growth slows; it has not ended at 32
        "2": "confirmed",
        "3a": "confirmed",
        "3b": "weakened",  # something is won back, and less than half of it
        "4": "confirmed",  # in multiply-accumulates
        "5": "open",  # never shown
    }


def test_numbers_that_arithmetic_on_the_printed_tables_gives() -> None:
    gains = printed_gains()
    assert [round(gains[step], 4) for step in ("4 to 16", "16 to 64", "32 to 64")] == [0.5499, 0.2687, 0.0756]
    cases = printed_distillation()
    assert (cases["won_back"].dropna() * 100).round().tolist() == [47, 34, 37, 38]
    assert cases["won_back"].isna().tolist() == [False] * 4 + [True] * 2  # at Pavia Centre LR is above LKCA-Net
    assert cases.loc["Chikusei x4", "loss"] == pytest.approx(-0.1415)
    assert (130 / 1152, round(MAX_RANK_SHARE, 3)) == (MAX_RANK_SHARE, 0.113)
    ratios = printed_macs_ratios()["times_faster"]
    assert (round(ratios.min(), 1), round(ratios.max(), 1)) == (28.6, 573.7)


def d(low: float, high: float) -> Difference:
    return Difference((low + high) / 2, low, high, 6, "seeds")


@pytest.mark.parametrize(
    ("early", "late", "slowing", "word"),
    [
        (d(0.4, 0.6), d(0.1, 0.3), d(-0.4, -0.2), "confirmed"),
        (d(0.4, 0.6), d(-0.01, 0.01), d(-0.6, -0.4), "weakened"),  # growth ends at 16
        (d(0.1, 0.2), d(0.4, 0.5), d(0.2, 0.4), "weakened"),  # growth does not slow
        (d(-0.3, 0.01), d(0.1, 0.3), d(0.1, 0.4), "refuted"),
        (d(0.4, 0.6), d(-0.1, 0.3), d(-0.6, 0.1), "open"),
        (d(0.4, 0.6), NOTHING, NOTHING, "open"),
        (NOTHING, NOTHING, NOTHING, "open"),
    ],
)
def test_growth(early: Difference, late: Difference, slowing: Difference, word: str) -> None:
    assert judge_growth(early, late, slowing) == word


@pytest.mark.parametrize(
    ("shares", "cut", "word"),
    [
        ([0.05, 0.11], None, "confirmed"),
        ([0.05, 0.12], None, "refuted"),
        ([0.05, 0.11], d(-0.01, 0.0), "confirmed"),
        ([0.05, 0.25], d(-0.01, 0.0), "weakened"),
        ([0.05], d(-0.3, -0.1), "weakened"),
        ([0.25], d(-0.3, -0.1), "refuted"),
        ([0.05], d(-0.1, 0.1), "open"),
    ],
)
def test_rank(shares: list[float], cut: Difference | None, word: str) -> None:
    assert judge_rank(shares, cut) == word


@pytest.mark.parametrize(
    ("loss", "word"), [(d(-0.09, 0.1), "confirmed"), (d(-0.3, -0.11), "refuted"), (d(-0.36, -0.09), "open")]
)
def test_loss_of_at_most_a_tenth_of_a_gain_of_1_dB(loss: Difference, word: str) -> None:
    assert judge_loss(loss, gain=1.0) == word


@pytest.mark.parametrize(
    ("won", "nearer", "word"),
    [
        (d(0.1, 0.2), d(0.01, 0.1), "confirmed"),
        (d(0.05, 0.2), d(-0.1, -0.01), "weakened"),
        (d(0.05, 0.2), d(-0.1, 0.1), "open"),
        (d(-0.2, 0.01), d(-0.3, -0.1), "refuted"),
        (NOTHING, NOTHING, "open"),
    ],
)
def test_distillation(won: Difference, nearer: Difference, word: str) -> None:
    assert judge_distillation(won, nearer) == word


@pytest.mark.parametrize(
    ("slowest", "sizes", "models", "word"),
    [
        (24, (16, 32, 64), 3, "confirmed"),
        (24, (16, 32), 3, "open"),  # too few sizes
        (9, (16,), 3, "weakened"),  # one counterexample is enough
        (0.9, (16,), 3, "refuted"),
        (100, (16, 32, 64), 2, "open"),
    ],
)
def test_speed(slowest: float, sizes: tuple[int, ...], models: int, word: str) -> None:
    names = ("msdformer", "sspsr", "essaformer")[:models]
    rows = [(name, size, slowest if name == "msdformer" else 100) for name in names for size in sizes]
    assert judge_speed(pd.DataFrame(rows, columns=["model", "size", "times_faster"])) == word


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("confirmed confirmed confirmed open", "confirmed"),
        ("confirmed confirmed refuted refuted", "weakened"),
        ("confirmed confirmed open refuted", "open"),
        ("confirmed refuted refuted refuted", "refuted"),
        ("refuted refuted refuted", "open"),  # one host does not count, so one more could fit
        ("", "open"),
    ],
)
def test_hosts(words: str, verdict: str) -> None:
    assert judge_hosts(dict(enumerate(words.split()))) == verdict
