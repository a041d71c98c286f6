"""Measure tasks on a sharpened scene: anomaly detection, unmixing, indices, small targets.

Images are NumPy arrays (B, H, W) in one unit, at HR size. Detectors use the leading principal components of their
image: deconvolution leaves only rounding errors in the last ones, so the covariance of all bands would be singular.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import spectral
from numpy.typing import NDArray
from scipy import ndimage
from scipy.stats import rankdata

COMPONENTS, LOCAL_COMPONENTS = 20, 10  # principal components of RX and the matched filter; of local RX
INNER, OUTER = 11, 25  # HR pixels on a side; the background of local RX lies between the two windows
FALSE_ALARMS = 0.01  # false-alarm rate at which detection rates are taken
ENDMEMBERS = 5  # [assumed] for every scene: publishers of such scenes count three to six materials
MAX_SWEEPS = 20  # of N-FINDR, which hardly ever takes more than five
EDGE_SHARE = 0.25  # of the pixels, those where abundances change most
INDICES = {  # (a - b) / (a + b), nm
    "NDVI": (800, 670),
    "NDVI705": (750, 705),  # A. Gitelson, M. Merzlyak, J. Plant Physiology 143(3), 1994
    "PRI": (531, 570),  # J. Gamon et al., Remote Sensing of Environment 41(1), 1992
}
MAX_BAND_DISTANCE = 8.0  # nm between a band and the wavelength of an index
MIN_SUM = 0.01  # a + b; for darker pixels the index is set to 0
FILLS = (0.1, 0.2, 0.4, 0.7, 1.0)  # area of a target as a share of an LR pixel
TARGET_SPACING, TARGET_JITTER = 16, 1.5  # HR pixels
MAX_TARGETS = 8  # of each fill
TARGET_CONTRAST = 10.0  # [assumed] Mahalanobis distance from the mean: easy to find at 100 %, not at 10 %

Image = NDArray[np.floating]
Mask = NDArray[np.bool_]


# --- detection


def principal_images(image: Image, count: int = COMPONENTS) -> tuple[Image, Image, Image]:
    """Return the leading principal components (H, W, k), their vectors (B, k) and the mean spectrum (B,), float64."""
    pixels = image.reshape(len(image), -1).astype(np.float64)
    mean = pixels.mean(axis=1)
    pixels -= mean[:, None]
    vectors = np.linalg.eigh(pixels @ pixels.T / pixels.shape[1])[1][:, ::-1][:, :count]
    return (vectors.T @ pixels).T.reshape(*image.shape[1:], -1), vectors, mean


def rx(components: Image) -> Image:
    """Return the anomaly score (H, W) of Reed and Xiaoli (IEEE TASSP 38(10), 1990), background: the whole image."""
    return spectral.rx(components)


def local_rx(components: Image, inner: int = INNER, outer: int = OUTER) -> Image:
    """Return RX (H, W) by a local background: the pixels in a window of side `outer` but not in that of side `inner`.

    It does the same as `spectral.rx` with a window, a hundred times as fast, by box filters. Edges are mirrored.
    """
    height, width, count = components.shape
    rows, columns = np.triu_indices(count)
    layers = np.concatenate([components, components[..., rows] * components[..., columns]], axis=-1)
    sums = sum(
        sign * side**2 * ndimage.uniform_filter(layers, (side, side, 0), mode="reflect")
        for sign, side in ((1, outer), (-1, inner))
    )
    n = outer**2 - inner**2
    mean, products = sums[..., :count] / n, sums[..., count:] / n
    covariance = np.empty((height, width, count, count))
    covariance[..., rows, columns] = covariance[..., columns, rows] = products
    covariance = (covariance - mean[..., :, None] * mean[..., None, :]) * n / (n - 1)
    ridge = 1e-9 * components.reshape(-1, count).var(axis=0)  # a flat neighbourhood, as from nearest, has no variance
    covariance[..., range(count), range(count)] += ridge
    away = components - mean
    return (away * np.linalg.solve(covariance, away[..., None])[..., 0]).sum(-1)


def area_under_curve(scores: Image, mask: Mask) -> float:
    """Return the area under the ROC curve: 1 if every anomaly scores above all other pixels."""
    ranks, count = rankdata(scores)[mask.ravel()], int(mask.sum())
    return float((ranks.sum() - count * (count + 1) / 2) / (count * (mask.size - count)))


def detection_rate(scores: Image, mask: Mask) -> float:
    """Return the share of the mask that scores above all other pixels except a share of `FALSE_ALARMS`."""
    return float((scores[mask] > np.quantile(scores[~mask], 1 - FALSE_ALARMS)).mean())


def detection(image: Image, mask: Mask) -> dict[str, float]:
    """Return AUC and detection rate of RX and local RX for a mask (H, W) of the true anomalies."""
    components = principal_images(image)[0]
    scores = {"RX": rx(components), "local RX": local_rx(components[..., :LOCAL_COMPONENTS])}
    return {f"{name} AUC": area_under_curve(found, mask) for name, found in scores.items()} | {
        f"{name} detection rate": detection_rate(found, mask) for name, found in scores.items()
    }


# --- unmixing and spectra


def find_endmembers(image: Image, count: int = ENDMEMBERS) -> Image:
    """Return the spectra (B, count) of the pixels that span the largest simplex, by N-FINDR.

    M. Winter, "N-FINDR", Proc. SPIE 3753, 1999. Each start pixel is the farthest from the span of those before it.
    """
    components = principal_images(image, count - 1)[0].reshape(-1, count - 1)
    points = np.vstack([np.ones(len(components)), (components / components.std(axis=0)).T])  # (count, pixels)
    chosen, rest = [], points.copy()
    for _ in range(count):
        chosen.append(int((rest**2).sum(0).argmax()))
        direction = rest[:, chosen[-1]] / np.linalg.norm(rest[:, chosen[-1]])
        rest -= np.outer(direction, direction @ rest)
    for _ in range(MAX_SWEEPS):
        before = tuple(chosen)
        for vertex in range(count):
            # By Cramer's rule: the volume with each pixel as this vertex, relative to the present one.
            volumes = np.abs(np.linalg.inv(points[:, chosen])[vertex] @ points)
            if volumes.max() > 1 + 1e-9:
                chosen[vertex] = int(volumes.argmax())
        if tuple(chosen) == before:
            break
    return image.reshape(len(image), -1)[:, chosen].astype(np.float64)


def abundances(image: Image, endmembers: Image) -> Image:
    """Return how much of each endmember is in each pixel, (p, H, W), by non-negative least squares.

    The exact solution is found among the ordinary least-squares solutions of all subsets of endmembers.
    """
    pixels = image.reshape(len(image), -1).astype(np.float64)
    gram, seen = endmembers.T @ endmembers, endmembers.T @ pixels
    result, best = np.zeros_like(seen), np.zeros(seen.shape[1])  # best: what is explained of the squared spectrum
    for size in range(1, len(gram) + 1):
        for subset in map(list, combinations(range(len(gram)), size)):
            shares = np.linalg.solve(gram[np.ix_(subset, subset)], seen[subset])
            explained = (shares * seen[subset]).sum(0)
            better = (shares >= 0).all(0) & (explained > best)
            best[better], result[:, better] = explained[better], 0
            result[np.ix_(subset, better)] = shares[:, better]
    return result.reshape(len(gram), *image.shape[1:])


def find_edges(shares: Image) -> Mask:
    """Return a mask of the `EDGE_SHARE` of pixels where abundances (p, H, W) change most: land-cover boundaries."""
    change = sum((step**2).sum(0) for step in np.gradient(shares, axis=(1, 2)))
    return change > np.quantile(change, 1 - EDGE_SHARE)


def spectral_angles(image: Image, endmembers: Image) -> Image:
    """Return the angles in degrees between every pixel and every endmember, (p, H, W)."""
    lengths = np.linalg.norm(image, axis=0) * np.linalg.norm(endmembers, axis=0)[:, None, None]
    cosines = np.tensordot(endmembers.T, image, 1) / np.maximum(lengths, 1e-12)
    return np.degrees(np.arccos(np.clip(cosines, -1, 1)))


@dataclass(frozen=True)
class Reference:
    """The HR scene (B, H, W), its endmembers (B, p), abundances (p, H, W), edges (H, W), angles (p, H, W; degrees)."""

    image: Image
    endmembers: Image
    abundances: Image
    edges: Mask
    angles: Image


def refer_to(hr: Image) -> Reference:
    """Unmix an HR scene, to compare others with it."""
    endmembers = find_endmembers(hr)
    shares = abundances(hr, endmembers)
    return Reference(hr, endmembers, shares, find_edges(shares), spectral_angles(hr, endmembers))


def unmixing(image: Image, truth: Reference) -> dict[str, float]:
    """Return the root mean squared error of the abundances, at edges and in the interior."""
    error = ((abundances(image, truth.endmembers) - truth.abundances) ** 2).mean(0)
    return {
        "abundance error, edges": float(np.sqrt(error[truth.edges].mean())),
        "abundance error, interior": float(np.sqrt(error[~truth.edges].mean())),
    }


def index_bands(wavelengths: Sequence[float] | None, name: str) -> tuple[int, int] | None:
    """Return the two bands of an index, or None if the scene has no bands there or no wavelengths."""
    if wavelengths is None:
        return None
    distances = np.abs(np.asarray(wavelengths)[None] - np.array(INDICES[name])[:, None])
    return tuple(map(int, distances.argmin(1))) if distances.min(1).max() <= MAX_BAND_DISTANCE else None


def index(image: Image, bands: tuple[int, int]) -> Image:
    """Return (a - b) / (a + b), clamped to [-1, 1], of the scene's numbers, be they reflectance or not."""
    a, b = (image[band].astype(np.float64) for band in bands)
    return np.where(a + b > MIN_SUM, np.clip((a - b) / np.maximum(a + b, MIN_SUM), -1, 1), 0)


def spectra(image: Image, truth: Reference, wavelengths: Sequence[float] | None) -> dict[str, float]:
    """Return the mean absolute errors of the indices at edges, and of the angle to the nearest endmember (degrees)."""
    nearest = truth.angles.argmin(0)[None]
    angles = (np.take_along_axis(each, nearest, 0) for each in (spectral_angles(image, truth.endmembers), truth.angles))
    found = {"angle error": float(np.abs(np.subtract(*angles)).mean())}
    for name in INDICES:
        if bands := index_bands(wavelengths, name):
            error = np.abs(index(image, bands) - index(truth.image, bands))
            found[f"{name} error, edges"] = float(error[truth.edges].mean())
    return found


# --- small targets


@dataclass(frozen=True)
class Target:
    """A square of one material: its centre in HR pixels (0.5 is the middle of the first), its area in LR pixels."""

    row: float
    column: float
    fill: float


def rarest(truth: Reference) -> Image:
    """Return the endmember (B,) with the lowest mean abundance."""
    return truth.endmembers[:, truth.abundances.mean(axis=(1, 2)).argmin()]


def target_spectrum(truth: Reference) -> Image:
    """Return the spectrum (B,) of a material that is not in the scene, so that every other detection is a false alarm.

    It departs from the mean as the rarest endmember does, but with the bands in reverse order, within the leading
    principal components, and by `TARGET_CONTRAST` of the scene's own standard deviations.
    """
    components, vectors, mean = principal_images(truth.image)
    spread = truth.image.reshape(len(mean), -1).std(axis=1)
    departure = vectors.T @ (((rarest(truth) - mean) / np.maximum(spread, 1e-12))[::-1] * spread)
    distance = np.sqrt((departure**2 / components.reshape(-1, len(departure)).var(axis=0)).sum())
    return mean + vectors @ departure * TARGET_CONTRAST / distance


def plant(hr: Image, spectrum: Image, scale: int, seed: int = 0) -> tuple[Image, list[Target], Image]:
    """Plant targets of each of `FILLS` on a jittered grid; return the scene, the targets, their coverage (H, W)."""
    rng = np.random.default_rng(seed)
    grid = [np.arange(TARGET_SPACING, side - TARGET_SPACING / 2, TARGET_SPACING) for side in hr.shape[1:]]
    places = rng.permutation(np.stack(np.meshgrid(*grid), -1).reshape(-1, 2))
    each = min(MAX_TARGETS, len(places) // len(FILLS))
    coverage, targets = np.zeros(hr.shape[1:]), []
    for place, fill in zip(places, FILLS * each, strict=False):
        target = Target(*(place + rng.uniform(-TARGET_JITTER, TARGET_JITTER, 2)), fill)
        half = np.sqrt(fill) * scale / 2
        overlaps = []
        for centre, side in zip((target.row, target.column), hr.shape[1:], strict=True):
            first = np.arange(side)
            overlaps.append(np.clip(np.minimum(first + 1, centre + half) - np.maximum(first, centre - half), 0, 1))
        coverage += np.outer(*overlaps)
        targets.append(target)
    planted = hr * (1 - coverage) + spectrum[:, None, None] * coverage
    return planted.astype(hr.dtype), targets, coverage


def matched_filter(image: Image, background: Image, spectrum: Image) -> Image:
    """Return the matched filter's score (H, W) for a spectrum (B,): 0 for the background's mean, 1 for the spectrum.

    background : (B, H, W), the image whose mean and covariance the filter takes.
    """
    components, vectors, mean = principal_images(background)
    seen = np.tensordot(image.astype(np.float64) - mean[:, None, None], vectors, (0, 0))
    statistics = spectral.GaussianStats(np.zeros(vectors.shape[1]), np.cov(components.reshape(-1, vectors.shape[1]).T))
    return spectral.matched_filter(seen, vectors.T @ (spectrum - mean), statistics)


def small_targets(
    image: Image, background: Image, spectrum: Image, targets: Sequence[Target], scale: int
) -> dict[str, float]:
    """Return how well a matched filter finds planted targets.

    image, background : the scene with and without the targets, both made by the same method.

    Returned are the detection rate of each fill and their mean, the mean contrast of the highest score (in standard
    deviations of the background), and its mean distance from the target's centre (HR pixels). A target is found if the
    highest score within one LR pixel around it exceeds that of all windows of the same size in the background, except a
    share of `FALSE_ALARMS`.
    """
    scores, empty = (matched_filter(each, background, spectrum) for each in (image, background))
    threshold = np.quantile(ndimage.maximum_filter(empty, 2 * scale + 1, mode="nearest"), 1 - FALSE_ALARMS)
    found, contrasts, distances = {fill: [] for fill in FILLS}, [], []
    for target in targets:
        top, left = (int(centre) - scale for centre in (target.row, target.column))
        window = scores[top : top + 2 * scale + 1, left : left + 2 * scale + 1]
        found[target.fill].append(window.max() > threshold)
        contrasts.append((window.max() - empty.mean()) / empty.std())
        middle = np.argwhere(window == window.max()).mean(0) + 0.5  # nearest gives a whole LR pixel the same score
        distances.append(np.hypot(*(middle + (top, left) - (target.row, target.column))))
    rates = {f"target detection rate, fill {100 * fill:.0f} %": float(np.mean(hits)) for fill, hits in found.items()}
    return {
        "target detection rate": float(np.mean(list(rates.values()))),
        **rates,
        "target contrast": float(np.mean(contrasts)),
        "target location error": float(np.mean(distances)),
    }
