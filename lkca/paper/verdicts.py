"""Apply the rules to the tables in results/: the verdict on each claim of the paper, and what is still missing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from lkca.models import BASELINES
from lkca.paper.evidence import (
    MARGIN,
    OVER_PLACES,
    Difference,
    by_scene,
    by_seed,
    count_failed,
    difference,
    gain_of_longer,
    pairing,
    ranks_of_90,
    read_results,
    synthetic,
    trained,
    unfit,
)
from lkca.paper.rules import (
    HOSTS,
    MIN_PLACES,
    MIN_SAVED,
    MIN_SEEDS,
    MIN_SIZES,
    OPEN,
    REFUTED,
    SETTLED,
    SLOW,
    Claim,
    claims,
    judge_distillation,
    judge_growth,
    judge_hosts,
    judge_loss,
    judge_rank,
    judge_speed,
)

PROFILES = ("paper", "small", "evidence", "converged", "cpu")  # the first that decides counts; `quick` never does
CHANNELS = 128  # width of the paper's LKCA-Net
Parts = Mapping[str, Difference]  # name of a comparison -> difference


@dataclass(frozen=True)
class Evidence:
    """What one table says on a claim.

    table : its path in results/, without the suffix. word : verdict of the rules. headline : the deciding number.
    numbers : all numbers that decide, with intervals. back_projected : the same after back-projection of every output.
    unit : of the numbers, and what is counted. reasons : why the table decides nothing, so that `word` is open.
    asks : what a referee would still ask about.
    """

    profile: str
    study: str
    table: str
    word: str
    headline: str
    numbers: tuple[str, ...]
    back_projected: str = "not measured"
    unit: str = ""
    reasons: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The verdict on one claim, with the printed claim and our evidence. word : the verdict."""

    name: str
    claim: Claim
    word: str
    evidence: tuple[Evidence, ...]

    @property
    def deciding(self) -> Evidence | None:
        """The first evidence that is not open, else the first; None without evidence."""
        return next((found for found in self.evidence if found.word != OPEN), next(iter(self.evidence), None))


def verdicts() -> list[Verdict]:
    """Return the verdict on each claim, from the tables in results/."""
    found = []
    for name, claim in claims().items():
        evidence = tuple(piece for profile in PROFILES for piece in COLLECTORS[name](profile))
        word = next((piece.word for piece in evidence if piece.word != OPEN), OPEN)
        # Whether "most" is won back is arithmetic on Tables V-VII.
        found.append(Verdict(name, claim, f"{claim.word} ({SETTLED})" if name == "3b" else word, evidence))
    return found


def growth(profile: str) -> Iterator[Evidence]:
    """Judge claim 1: gains from 4 to 16 and from 16 to 64 blocks, over seeds."""
    frame = read_results(f"{profile}/block_count")
    if frame is None:
        return
    parts, projected = (_gains_of_blocks(frame, metric) for metric in ("MPSNR", "MPSNR_bp"))
    word = judge_growth(*list(parts.values())[:3])
    reasons = [] if parts["16 to 64 blocks"].n else ["no networks of 64 blocks"]
    yield _evidence(profile, "block_count", frame, word, parts, projected, reasons)


def _gains_of_blocks(frame: pd.DataFrame, metric: str) -> Parts:
    blocks = frame.loc[frame["model"] == "lkca", "blocks"]
    fewest, most = int(blocks.min()), int(blocks.max())
    early, late, whole = (
        by_seed(frame, *({"model": "lkca", "blocks": count} for count in step), metric)
        for step in ((16, 4), (64, 16), (most, fewest))
    )
    found = {"4 to 16 blocks": early, "16 to 64 blocks": late, "16 to 64 minus 4 to 16": late - early}
    found[f"{fewest} to {most} blocks"] = whole
    return {name: difference(values, "seeds") for name, values in found.items()}


def low_rank(profile: str) -> Iterator[Evidence]:
    """Judge claim 2: how many singular values hold 90 %, and the loss after a cut to the rank at LKCA-LR's cost."""
    for study in ("upsampler_rank", "upsamplers"):
        cuts, frame = read_results(f"{profile}/{study}_truncation"), read_results(f"{profile}/{study}")
        if cuts is not None and frame is not None and len(cuts):
            yield _rank_of(profile, study, cuts, frame)


def _rank_of(profile: str, study: str, cuts: pd.DataFrame, frame: pd.DataFrame) -> Evidence:
    shares, losses, ranks = [], [], []
    for _, cut in cuts.groupby("run", sort=False):
        lost = cut.set_index("k")["cut_MPSNR"] - cut.loc[cut["k"].idxmax(), "cut_MPSNR"]
        shares.append(cut["k90"].iloc[0] / cut["values"].iloc[0])
        losses.append(lost[lost.index <= cut["budget"].iloc[0]].iloc[-1])
        ranks.append(lost[lost >= -MARGIN].index.min())
    loss = difference(losses, "networks")
    used = frame[frame["run"].isin(cuts["run"]) | frame["model"].isin(BASELINES)]
    # This claim is about single trainings, so one scene is enough.
    reasons = [reason for reason in unfit(used, profile, study) if reason != "one real scene"]
    reasons += _too_few(loss, MIN_SEEDS)
    share = f"90 % of the sum in {min(shares):.1%} to {max(shares):.1%} of {_range(cuts['values'], '')} values"
    numbers = (
        share,
        f"cut to rank {_range(cuts['budget'], '')}, the largest at LKCA-LR's cost: {loss} dB",
        f"smallest rank that loses at most {MARGIN} dB: {_range(pd.Series(ranks), '')}",
        *_controls(profile, study),
    )
    return Evidence(
        profile,
        study,
        f"{profile}/{study}_truncation",
        OPEN if reasons else judge_rank(shares, loss),
        f"{share}; cut to LKCA-LR's rank {loss} dB",
        numbers,
        unit=f"share of values, dB; {loss.counted}",
        reasons=tuple(reasons),
        asks=() if study == "upsampler_rank" else ("a 1x1 layer of the body, and several seeds, as controls",),
    )


def _controls(profile: str, study: str) -> Iterator[str]:
    """Yield the share of values that holds 90 % of the sum, for each control (a matrix other than the upsampler)."""
    found = read_results(f"{profile}/{study}_controls")
    if found is None:
        ranked = ranks_of_90(profile)
        for row in ranked[~ranked["kind"].isin(("trained", "grouped"))].itertuples():
            yield f"control, one seed, {row.kind}: {row.rank / row.values:.1%}"
        return
    for (layer, kind), rows in found.groupby(["layer", "kind"], sort=False):
        if (layer, kind) != ("upsampler", "trained"):
            yield f"control, {kind} {layer}: {rows['share'].min():.1%} to {rows['share'].max():.1%}"


def _three_networks(profile: str) -> Iterator[tuple[str, pd.DataFrame, Callable[..., pd.Series], str]]:
    """Yield the tables that have LKCA-Net, LR and KD at x4: study, rows, function to subtract two models, and unit."""
    networks = {"lkca", "lkca-lr", "lkca-kd"}
    for study in (*OVER_PLACES, "until_converged"):
        frame = read_results(f"{profile}/{study}")
        if frame is not None and networks <= set(frame["model"]):
            rows = frame[(frame["scale"] == 4) & frame["model"].isin({*networks, *BASELINES})]
            yield study, rows, *pairing(study)


def loss(profile: str) -> Iterator[Evidence]:
    """Judge claim 3a: LR - Net, over places and over seeds."""
    for study, frame, subtract, unit in _three_networks(profile):
        parts, projected = (
            {"LR - Net": difference(subtract(frame, "lkca-lr", "lkca", metric), unit)}
            for metric in ("MPSNR", "MPSNR_bp")
        )
        gain = by_scene(frame, "lkca", "bicubic").mean()
        word = judge_loss(parts["LR - Net"], gain)
        share = f"that is {-parts['LR - Net'].mean / gain:.0%} of what LKCA-Net gains over bicubic ({gain:+.3f} dB)"
        reasons = [] if gain > 0 else [f"LKCA-Net is not above bicubic ({gain:+.3f} dB): there is nothing to lose"]
        found = _evidence(profile, study, frame, word, parts, projected, reasons)
        yield replace(found, numbers=(*found.numbers, share)) if gain > 0 else found


def distillation(profile: str) -> Iterator[Evidence]:
    """Judge claim 3b: KD - LR, and whether KD is nearer to LKCA-Net than to LR."""
    for study, frame, subtract, unit in _three_networks(profile):
        parts, projected = {}, {}
        for metric, found in (("MPSNR", parts), ("MPSNR_bp", projected)):
            lost, won = (subtract(frame, *pair, metric) for pair in (("lkca-lr", "lkca"), ("lkca-kd", "lkca-lr")))
            found["KD - LR"] = difference(won, unit)
            found["KD - middle of LR and Net"] = difference(won + lost / 2, unit)
        word = judge_distillation(*parts.values())
        yield _evidence(profile, study, frame, word, parts, projected, asks=["how many teachers served these seeds"])


def speed(profile: str) -> Iterator[Evidence]:
    """Judge claim 4: times of forward passes at the paper's sizes. They belong to no profile; `converged` has them."""
    ratios = read_results("speed/cpu-ratios")
    if ratios is None or profile != "converged":
        return
    found = ratios[ratios["model"].isin(SLOW)]
    numbers = []
    for model, rows in found.groupby("model"):
        sizes = ", ".join(map(str, sorted(rows["size"].unique())))
        numbers.append(f"{model} {_range(rows['times_faster'])} times, LR images of {sizes} pixels")
    missing = sorted(set(SLOW) - set(found["model"]))
    fewest = found.groupby("model")["size"].nunique().min()
    yield Evidence(
        profile,
        "speed",
        "speed/cpu-ratios",
        judge_speed(ratios),
        f"{_range(found['times_faster'])} times as fast on a CPU",
        tuple(numbers),
        "costs every network the same",
        "times as fast; one CPU, two threads",
        (f"not measured: {', '.join(missing)}",) if missing else (),
        (f"at least {MIN_SIZES} sizes of every network ({fewest} now)", "a compiled runtime", "one thread", "a GPU"),
    )


def hosts(profile: str) -> Iterator[Evidence]:
    """Judge claim 5: other networks with the paper's grouped upsampler minus those with their own, over seeds."""
    frame = read_results(f"{profile}/upsamplers_elsewhere")
    if frame is None:
        return
    macs = frame.groupby(["model", "upsampler"])["macs_G"].first()
    fits, parts, projected, excluded = {}, {}, {}, []
    for host in HOSTS:
        if not {(host, "own"), (host, "grouped")} <= set(macs.index):
            continue
        own, low = ({"model": host, "upsampler": kind} for kind in ("own", "grouped"))
        saved = 1 - macs[host, "grouped"] / macs[host, "own"]
        name = f"{host} with {saved:.0%} fewer MACs"
        parts[name], projected[host] = (difference(by_seed(frame, low, own, m), "seeds") for m in ("MPSNR", "MPSNR_bp"))
        if difference(by_seed(frame, own, "back-projection"), "seeds").low > 0:
            gain = by_scene(frame, own, "bicubic").mean()
            fits[host] = judge_loss(parts[name], gain) if saved >= MIN_SAVED else REFUTED
        else:
            excluded.append(host)
    if not parts:
        return
    words = ", ".join(f"{host} {word}" for host, word in fits.items())
    asks = [f"by the threshold of claim 3a, without the general rules: {words}"] if words else []
    asks += [f"{host} is not above back-projection and does not count" for host in excluded]
    found = _evidence(profile, "upsamplers_elsewhere", frame, judge_hosts(fits), parts, projected, asks=asks)
    means, networks = pd.Series([part.mean for part in parts.values()]), "network" if len(parts) == 1 else "networks"
    yield replace(found, headline=f"{_range(means, '+.3f')} dB in {len(means)} {networks} ({found.unit[4:]})")


COLLECTORS = {"1": growth, "2": low_rank, "3a": loss, "3b": distillation, "4": speed, "5": hosts}


def _evidence(
    profile: str,
    study: str,
    frame: pd.DataFrame,
    word: str,
    parts: Parts,
    projected: Parts,
    reasons: Sequence[str] = (),
    asks: Sequence[str] = (),
) -> Evidence:
    """Return a claim's evidence; it is open if the table fails a general rule or has too few places or seeds."""
    measured = {name: part for name, part in parts.items() if part.n}
    name, first = next(iter(measured.items()), ("nothing", difference([], "runs")))
    where = first.counted + (", synthetic scenes" if synthetic(frame) else "")
    reasons = [
        *unfit(frame, profile, study),
        *_too_few(first, MIN_PLACES if first.unit == "places" else MIN_SEEDS),
        *reasons,
    ]
    needed = {name: part.units_needed for name, part in measured.items() if part.units_needed}
    questions = [f"±{MARGIN} dB would need {n} {first.unit} ({name})" for name, n in needed.items() if n > first.n]
    questions += ["real scenes"] if synthetic(frame) else []
    if (widest := trained(frame).query("model in ('lkca', 'lkca-lr')")["channels"].max()) < CHANNELS:
        questions.append(f"networks as wide as the paper's, {CHANNELS} channels ({widest:.0f} here)")
    missing = read_results(f"{profile}/{study}_missing")
    if missing is not None and len(missing):
        questions.append(f"{len(missing)} of {len(missing) + len(frame)} planned runs are not finished")
    twice = gain_of_longer(trained(frame), profile)
    if twice.n:
        questions.append(f"trained twice as long: {twice} dB in {twice.counted}")
    if failed := count_failed(frame):
        questions.append(f"{failed} of {len(trained(frame))} runs failed (below bicubic)")
    return Evidence(
        profile,
        study,
        f"{profile}/{study}",
        OPEN if reasons else word,
        f"{name} {first} dB ({where})",
        tuple(_said(name, part) for name, part in measured.items()),
        "; ".join(f"{name} {part}" for name, part in projected.items() if part.n) or "not measured",
        f"dB; {where}",
        tuple(reasons),
        (*questions, *asks),
    )


def _said(name: str, part: Difference) -> str:
    text = f"{name} {part} dB: {part.outcome}"
    if part.unit != "places" and part.n <= MIN_SEEDS:
        return text
    return (
        f"{text} (Hodges-Lehmann {part.hodges_lehmann:+.3f} dB, above zero at {part.better} of {part.n} {part.unit}, "
        f"sign test p = {part.sign_p:.2g})"
    )


def _too_few(part: Difference, least: int) -> list[str]:
    return [f"{part.counted}, {least} are needed"] if part.n < least else []


def _range(values: pd.Series, digits: str = ".1f") -> str:
    ends = [f"{values.min():{digits}}", f"{values.max():{digits}}"]
    return " to ".join(dict.fromkeys(ends))
