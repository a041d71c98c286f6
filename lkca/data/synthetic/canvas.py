"""Draw polygons, trees, rivers and roads on the fine grid of a synthetic landscape.

Lengths are in image pixels of about 2 m. Polygons are (n, 2) arrays of (row, column), convex, and all have the same
orientation. Everything is drawn `FINE` times finer than the image, so that averaging gives truly mixed pixels.
"""

import numpy as np
from scipy.spatial import ConvexHull

from lkca.data.synthetic.materials import ASPHALT, CONCRETE, TREE

FINE = 3  # fine samples along each side of a pixel
BLOCK = 32  # image rows processed at once, to limit the memory beside the result

Window = tuple[slice, slice]  # of the fine grid
Stripes = tuple[float, float, float]  # angle across the stripes, period in pixels, share covered


def direction(angle: float) -> np.ndarray:
    """Return the unit vector (row, column) at an angle in radians."""
    return np.array([np.sin(angle), np.cos(angle)])


def area(polygon: np.ndarray) -> float:
    """Return the area of a polygon."""
    y, x = polygon.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def rectangle(centre: np.ndarray, length: float, width: float, angle: float) -> np.ndarray:
    """Return the corners of a rectangle whose length lies along `angle`."""
    along, across = 0.5 * length * direction(angle), 0.5 * width * direction(angle + np.pi / 2)
    corners = (-along - across, along - across, along + across, across - along)
    return np.stack([centre + corner for corner in corners])


def extent(polygon: np.ndarray, angle: float) -> tuple[float, float]:
    """Return the least and the greatest coordinate of a polygon along `angle`."""
    along = polygon @ direction(angle)
    return float(along.min()), float(along.max())


def cut(polygon: np.ndarray, angle: float, offset: float) -> np.ndarray:
    """Return the part of `polygon` beyond `offset` in the direction `angle`; fewer than 3 points if there is none."""
    height = polygon @ direction(angle) - offset
    points = []
    for i, j in zip(range(len(polygon)), [*range(1, len(polygon)), 0], strict=True):
        if height[i] >= 0:
            points.append(polygon[i])
        if (height[i] >= 0) != (height[j] >= 0):
            points.append(polygon[i] + (polygon[j] - polygon[i]) * height[i] / (height[i] - height[j]))
    return np.array(points).reshape(-1, 2)


def sides(polygon: np.ndarray, angle: float) -> np.ndarray:
    """Return the length of `polygon` along `angle` and across it."""
    return np.array([high - low for low, high in (extent(polygon, a) for a in (angle, angle + np.pi / 2))])


class Canvas:
    """Material, brightness and tint of every fine sample; all coordinates are in image pixels.

    material : (FINE * rows, FINE * columns) uint8, index into `MATERIALS`.
    tone : same shape, float32: factor on the material's spectrum (an object's own, shading and shadow).
    tint : same shape, float32 in [-1, 1]: the object's place between the material's extremes of colour.
    """

    def __init__(self, rows: int, columns: int, rng: np.random.Generator):
        self.rows, self.columns, self.rng = rows, columns, rng
        shape = (rows * FINE, columns * FINE)
        self.material = np.zeros(shape, np.uint8)
        self.tone = np.ones(shape, np.float32)
        self.tint = np.zeros(shape, np.float32)
        self.taken = np.zeros(shape, bool)  # by rivers and roads: no building or tree stands there
        self.sun = direction(rng.uniform(0, 2 * np.pi))  # direction in which shadows fall

    def window(self, low: np.ndarray, high: np.ndarray) -> tuple[Window, np.ndarray, np.ndarray]:
        """Return the slices of the fine grid between two corners, and the pixel coordinates (y, x) of its samples."""
        first = np.clip(np.floor(low * FINE), 0, self.material.shape).astype(int)
        last = np.clip(np.ceil(high * FINE), 0, self.material.shape).astype(int)
        y, x = ((np.arange(a, b, dtype=np.float32) + 0.5) / FINE for a, b in zip(first, last, strict=True))
        return np.s_[first[0] : last[0], first[1] : last[1]], y[:, None], x[None, :]

    def paint(
        self,
        where: Window,
        mask: np.ndarray,
        material: int,
        tone: float | np.ndarray = 1.0,
        tint: float = 0.0,
    ) -> None:
        """Set material, tone and tint of the masked samples of a window."""
        self.material[where][mask] = material
        self.tone[where][mask] = tone[mask] if isinstance(tone, np.ndarray) else tone
        self.tint[where][mask] = tint

    def inside(self, polygon: np.ndarray) -> tuple[Window, np.ndarray, np.ndarray, np.ndarray]:
        """Return the window around a polygon, the mask of samples inside, and the coordinates of its samples."""
        where, y, x = self.window(polygon.min(axis=0), polygon.max(axis=0))
        mask = np.ones((y.shape[0], x.shape[1]), bool)
        for (y0, x0), (y1, x1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            mask &= (x - x0) * np.float32(y1 - y0) - (y - y0) * np.float32(x1 - x0) <= 0
        return where, mask, y, x

    def fill(
        self,
        polygon: np.ndarray,
        material: int,
        tone: float = 1.0,
        tint: float = 0.0,
        stripes: Stripes | None = None,
    ) -> None:
        """Fill a polygon, or only stripes of it."""
        if len(polygon) < 3:
            return
        where, mask, y, x = self.inside(polygon)
        if stripes is not None:
            angle, period, share = stripes
            across = direction(angle).astype(np.float32) / np.float32(period)
            mask &= (y * across[0] + x * across[1]) % 1 < share
        self.paint(where, mask, material, tone, tint)

    def shadow(self, polygon: np.ndarray, length: float) -> None:
        """Darken the polygon and the ground that its shadow falls on."""
        both = np.concatenate([polygon, polygon + length * self.sun])
        hull = both[ConvexHull(both).vertices[::-1]]  # SciPy's hull has the other orientation
        where, mask, _, _ = self.inside(hull)
        self.tone[where][mask] *= 0.38

    def tree(self, centre: np.ndarray, radius: float) -> None:
        """Draw a crown, bright towards the sun, and its shadow."""
        for shift, is_crown in ((self.sun * radius * 0.9, False), (0, True)):
            middle = centre + shift
            where, y, x = self.window(middle - radius, middle + radius)
            y, x = ((a - np.float32(m)) / np.float32(radius) for a, m in zip((y, x), middle, strict=True))
            mask = y * y + x * x < 1
            if is_crown:
                tone = 1 - 0.4 * (y * np.float32(self.sun[0]) + x * np.float32(self.sun[1]))
                self.paint(where, mask, TREE, tone * self.rng.uniform(0.8, 1.15), self.rng.uniform(-1, 1))
            else:
                self.tone[where][mask] *= 0.5

    def ribbon(self, half_width: float, material: int, wander: float, banks: tuple[int, float] | None) -> None:
        """Draw a river or road across the whole canvas, winding about a straight line."""
        rng = self.rng
        angle = rng.uniform(0, np.pi)
        along, across = direction(angle), direction(angle + np.pi / 2)
        anchor = np.array([self.rows, self.columns]) * rng.uniform(0.25, 0.75, 2)
        waves = np.array(
            [  # amplitude, rate and phase of a long wave and a short one
                (wander * rng.uniform(0.5, 1.0), 2 * np.pi / rng.uniform(280, 420), rng.uniform(0, 6.28)),
                (wander * rng.uniform(0.15, 0.35), 2 * np.pi / rng.uniform(110, 170), rng.uniform(0, 6.28)),
            ],
            np.float32,
        )
        tint, tone = rng.uniform(-0.8, 0.8), rng.uniform(0.9, 1.1)
        for top in range(0, self.rows, BLOCK):
            where, y, x = self.window(np.array([top, 0]), np.array([min(top + BLOCK, self.rows), self.columns]))
            y, x = y - np.float32(anchor[0]), x - np.float32(anchor[1])
            p = y * np.float32(along[0]) + x * np.float32(along[1])
            distance, slope = y * np.float32(across[0]) + x * np.float32(across[1]), 0
            for size, rate, phase in waves:
                distance = distance - size * np.sin(rate * p + phase)
                slope = slope + size * rate * np.cos(rate * p + phase)
            distance = np.abs(distance) / np.sqrt(1 + slope * slope)
            edge = half_width
            if banks is not None:
                edge += banks[1]
                self.paint(where, distance < edge, banks[0], 1.0, 0.3)
            self.paint(where, distance < half_width, material, tone, tint)
            if material == ASPHALT:  # a dashed line along the middle
                self.paint(where, (distance < 0.2) & (p % 6 < 3.5), CONCRETE)
            self.taken[where] |= distance < edge

    def is_free(self, low: np.ndarray, high: np.ndarray) -> bool:
        """Return whether no river or road lies between two corners."""
        return not self.taken[self.window(low, high)[0]].any()
