"""An aerial landscape drawn from random numbers: which material lies where, how bright and of what tint.

Land is divided into districts, blocks and parcels by repeated straight cuts; what the cuts leave open becomes
roads, streets, tracks and hedges. Parcels become fields with crop rows, orchards, woods, house lots, halls and
car parks. A river and winding roads run across; buildings and trees, with their shadows, come last. Lengths are
in image pixels, of about 2 m; polygons are (n, 2) arrays of (row, column), convex, all in one sense of rotation.
All is drawn `FINE` times finer than the image, so that averaging it down gives truly mixed pixels.
"""

import numpy as np
from scipy.spatial import ConvexHull

FINE = 3  # fine samples along each side of a pixel
BLOCK = 32  # image rows handled at once, to bound the memory beside the result
MARGIN = 40  # pixels of land beyond each border, so that the border cuts through parcels

MATERIALS = (
    "asphalt", "concrete", "soil", "gravel", "grass", "crop", "cereal", "tree", "water", "clay tile", "slate",
    "metal", "membrane", "blue plastic",
)  # fmt: skip
ASPHALT, CONCRETE, SOIL, GRAVEL, GRASS, CROP, CEREAL, TREE, WATER, TILE, SLATE, METAL, MEMBRANE, PLASTIC = range(
    len(MATERIALS)
)

Window = tuple[slice, slice]  # of the fine grid
Stripes = tuple[float, float, float]  # angle across them, period in pixels, share covered


def _direction(angle: float) -> np.ndarray:
    return np.array([np.sin(angle), np.cos(angle)])


def _area(polygon: np.ndarray) -> float:
    y, x = polygon.T
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


def _rectangle(centre: np.ndarray, length: float, width: float, angle: float) -> np.ndarray:
    along, across = 0.5 * length * _direction(angle), 0.5 * width * _direction(angle + np.pi / 2)
    corners = (-along - across, along - across, along + across, across - along)
    return np.stack([centre + corner for corner in corners])


def _extent(polygon: np.ndarray, angle: float) -> tuple[float, float]:
    reach = polygon @ _direction(angle)
    return float(reach.min()), float(reach.max())


def _cut(polygon: np.ndarray, angle: float, offset: float) -> np.ndarray:
    """The part of `polygon` beyond `offset` in the direction `angle` (fewer than 3 points: none)."""
    height = polygon @ _direction(angle) - offset
    points = []
    for i, j in zip(range(len(polygon)), [*range(1, len(polygon)), 0], strict=True):
        if height[i] >= 0:
            points.append(polygon[i])
        if (height[i] >= 0) != (height[j] >= 0):
            points.append(polygon[i] + (polygon[j] - polygon[i]) * height[i] / (height[i] - height[j]))
    return np.array(points).reshape(-1, 2)


def _sides(polygon: np.ndarray, angle: float) -> np.ndarray:
    """Length of `polygon` along `angle` and across it."""
    return np.array([high - low for low, high in (_extent(polygon, a) for a in (angle, angle + np.pi / 2))])


def _divide(
    polygon: np.ndarray, angle: float, largest: float, gap: float, jitter: float, rng: np.random.Generator
) -> list[tuple[np.ndarray, float]]:
    """Cut `polygon` across its longer side, leaving a `gap`, until every part has about `largest` area or less.

    Cuts follow `angle`, give or take `jitter` (radians). Returns the parts, each with the angle of its last cut.
    """
    parts, waiting = [], [(polygon, angle)]
    while waiting:
        polygon, angle = waiting.pop()
        if len(polygon) < 3:
            continue
        if _area(polygon) <= largest * rng.uniform(0.7, 1.3):
            parts.append((polygon, angle))
            continue
        along, across = _sides(polygon, angle)
        normal = angle + (np.pi / 2 if across > along else 0) + rng.normal(0, jitter)
        low, high = _extent(polygon, normal)
        offset = low + (high - low) * rng.uniform(0.36, 0.64)
        waiting.append((_cut(polygon, normal, offset + gap / 2), normal))
        waiting.append((_cut(polygon, normal + np.pi, -offset + gap / 2), normal))
    return parts


class Canvas:
    """Material, brightness and tint of every fine sample; all coordinates are in image pixels.

    Attributes
    ----------
    material : numpy.ndarray
        (FINE * rows, FINE * columns) uint8, index into `MATERIALS`.
    tone : numpy.ndarray
        The same shape, float32: factor on the material's spectrum (an object's own, shading and shadow).
    tint : numpy.ndarray
        The same shape, float32 in [-1, 1]: the object's place between the material's extremes of color.
    """

    def __init__(self, rows: int, columns: int, rng: np.random.Generator):
        self.rows, self.columns, self.rng = rows, columns, rng
        shape = (rows * FINE, columns * FINE)
        self.material = np.zeros(shape, np.uint8)
        self.tone = np.ones(shape, np.float32)
        self.tint = np.zeros(shape, np.float32)
        self.taken = np.zeros(shape, bool)  # by rivers and roads: nothing may stand there
        self.sun = _direction(rng.uniform(0, 2 * np.pi))  # where shadows point

    def window(self, low: np.ndarray, high: np.ndarray) -> tuple[Window, np.ndarray, np.ndarray]:
        """Slices of the fine grid between two corners, and the pixel coordinates (y, x) of its samples."""
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
        self.material[where][mask] = material
        self.tone[where][mask] = tone[mask] if isinstance(tone, np.ndarray) else tone
        self.tint[where][mask] = tint

    def inside(self, polygon: np.ndarray) -> tuple[Window, np.ndarray, np.ndarray, np.ndarray]:
        """The window about a polygon, which of its samples are inside, and their coordinates."""
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
            across = _direction(angle).astype(np.float32) / np.float32(period)
            mask &= (y * across[0] + x * across[1]) % 1 < share
        self.paint(where, mask, material, tone, tint)

    def shadow(self, polygon: np.ndarray, length: float) -> None:
        """Darken the polygon and where its shadow falls."""
        both = np.concatenate([polygon, polygon + length * self.sun])
        hull = both[ConvexHull(both).vertices[::-1]]  # SciPy goes round the other way
        where, mask, _, _ = self.inside(hull)
        self.tone[where][mask] *= 0.38

    def tree(self, centre: np.ndarray, radius: float) -> None:
        """A crown, bright towards the sun, and its shadow."""
        reach = self.sun * radius * 0.9
        for shift, is_crown in ((reach, False), (0, True)):
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
        """A river or road across the whole canvas, winding about a straight line."""
        rng = self.rng
        angle = rng.uniform(0, np.pi)
        along, across = _direction(angle), _direction(angle + np.pi / 2)
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
        return not self.taken[self.window(low, high)[0]].any()


class _Landscape:
    """Fills land with fields and built blocks; buildings and trees are remembered, to be drawn last."""

    def __init__(self, canvas: Canvas, rng: np.random.Generator):
        self.canvas, self.rng = canvas, rng
        # Polygon, angle, roof material, is it gabled, length of shadow.
        self.buildings: list[tuple[np.ndarray, float, int, bool, float]] = []
        self.trees: list[tuple[np.ndarray, float]] = []  # centre, radius

    def cover(
        self, polygon: np.ndarray, material: int, stripes: Stripes | None = None, tint: float | None = None
    ) -> None:
        """Fill with a brightness and tint drawn for this object."""
        tint = self.rng.uniform(-0.9, 0.9) if tint is None else tint
        self.canvas.fill(polygon, material, self.rng.uniform(0.9, 1.1), tint, stripes)

    def plant(self, polygon: np.ndarray, angle: float, spacing: float, radius: float, scatter: float) -> None:
        """Trees over a polygon on a grid, moved off it by `scatter` of the spacing."""
        turn = np.stack([_direction(angle), _direction(angle + np.pi / 2)])
        spans = [np.arange(low + spacing / 2, high, spacing) for low, high in
                 (_extent(polygon, angle), _extent(polygon, angle + np.pi / 2))]  # fmt: skip
        grid = np.stack(np.meshgrid(*spans, indexing="ij"), axis=-1).reshape(-1, 2)
        grid = (grid + self.rng.uniform(-scatter, scatter, grid.shape) * spacing) @ turn
        edges = np.roll(polygon, -1, axis=0) - polygon
        away = grid[:, None] - polygon
        within = (away[..., 1] * edges[:, 0] - away[..., 0] * edges[:, 1] <= 0).all(axis=1)
        self.trees += [(point, radius * self.rng.uniform(0.75, 1.25)) for point in grid[within]]

    def farmland(self, district: np.ndarray, angle: float) -> None:
        rng = self.rng
        self.cover(district, rng.choice([GRAVEL, GRASS, SOIL]))
        for field, turn in _divide(district, angle, 3200, rng.uniform(1.0, 2.5), 0.06, rng):
            kind = rng.choice(7, p=[0.26, 0.2, 0.16, 0.1, 0.12, 0.1, 0.06])
            turn += rng.choice([0, np.pi / 2])
            if kind == 0:  # a row crop on bare soil
                self.cover(field, SOIL)
                self.cover(field, CROP, (turn, rng.uniform(2.5, 9), rng.uniform(0.55, 0.85)))
            elif kind == 1:  # cereal with the wheel tracks of machines
                self.cover(field, rng.choice([CEREAL, CROP]))
                self.cover(field, SOIL, (turn, rng.uniform(9, 14), 0.09))
            elif kind == 2:  # ploughed
                self.cover(field, SOIL)
                self.cover(field, SOIL, (turn, rng.uniform(4, 8), 0.5))
            elif kind == 3:
                self.cover(field, GRASS)
            elif kind == 4:  # orchard
                self.cover(field, rng.choice([GRASS, SOIL]))
                self.plant(field, turn, rng.uniform(4, 6), 1.5, 0.06)
            elif kind == 5:
                self.cover(field, TREE)
                self.plant(field, turn, 4.2, 2.4, 0.4)
            else:  # plastic tunnels
                self.cover(field, SOIL)
                self.cover(field, rng.choice([PLASTIC, MEMBRANE]), (turn, rng.uniform(5, 7), 0.6))

    def housing(self, district: np.ndarray, angle: float) -> None:
        rng = self.rng
        self.cover(district, ASPHALT)
        for block, turn in _divide(district, angle, 2400, 3.2, 0.03, rng):
            if rng.random() < 0.1:  # a park with a pond
                self.cover(block, GRASS)
                self.plant(block, turn, 8, 2.3, 0.45)
                middle, circle = block.mean(axis=0), np.linspace(0, 2 * np.pi, 20, endpoint=False)
                self.cover(middle + np.stack([7 * np.sin(circle), 10 * np.cos(circle)], axis=1), WATER)
                continue
            self.cover(block, CONCRETE)
            roofs = rng.choice([TILE, SLATE, METAL, MEMBRANE, GRAVEL], 2, p=[0.5, 0.25, 0.1, 0.1, 0.05])
            inner = 0.94 * block + 0.06 * block.mean(axis=0)
            for lot, side in _divide(inner, turn, 230, 0.5, 0.01, rng):
                self.cover(lot, rng.choice([GRASS, SOIL, CONCRETE], p=[0.75, 0.13, 0.12]))
                size = np.sqrt(_area(lot))
                middle = lot.mean(axis=0) + rng.uniform(-0.08, 0.08, 2) * size
                drive = rng.choice([0, np.pi / 2, np.pi, -np.pi / 2]) + side
                way = _rectangle(middle + 0.3 * size * _direction(drive), size / 2, 1.6, drive)
                self.cover(way, CONCRETE)
                length, width = size * rng.uniform((0.5, 0.32), (0.72, 0.48))
                house = _rectangle(middle, length, width, side)
                self.buildings.append((house, side, rng.choice(roofs), True, rng.uniform(1.5, 3)))
                self.plant(lot, side, 6.5, 1.5, 0.5)
                if rng.random() < 0.4:  # a shed or garage
                    shed = _rectangle(middle + 0.42 * size * _direction(drive + np.pi / 2), 3, 2.4, side)
                    roof = rng.choice([METAL, MEMBRANE, SLATE, PLASTIC])
                    self.buildings.append((shed, side, roof, False, 1.0))

    def industry(self, district: np.ndarray, angle: float) -> None:
        rng = self.rng
        self.cover(district, ASPHALT, tint=0.5)
        for block, turn in _divide(district, angle, 4200, 4, 0.02, rng):
            self.cover(block, rng.choice([CONCRETE, ASPHALT, GRASS], p=[0.5, 0.3, 0.2]))
            for lot, side in _divide(block, turn, 1500, 1.5, 0, rng):
                size = _sides(lot, side)
                if rng.random() < 0.6:
                    hall = _rectangle(lot.mean(axis=0), *(size * rng.uniform(0.55, 0.85, 2)), side)
                    roofs = [METAL, MEMBRANE, SLATE, GRAVEL, TILE, PLASTIC]
                    roof = rng.choice(roofs, p=[0.3, 0.17, 0.2, 0.17, 0.1, 0.06])
                    self.buildings.append((hall, side, roof, False, rng.uniform(2, 5)))
                else:  # a car park: marked bays and cars
                    self.cover(lot, ASPHALT)
                    self.cover(lot, CONCRETE, (side, 8, 0.07))
                    turned = np.stack([_direction(side), _direction(side + np.pi / 2)])
                    (a, b), (c, d) = _extent(lot, side), _extent(lot, side + np.pi / 2)
                    for p in np.arange(np.ceil((a + 2) / 8) * 8 + 1.8, b - 2, 8):
                        for q in np.arange(c + 2, d - 2, 1.8):
                            if rng.random() < 0.55:
                                car = _rectangle(np.array([p, q]) @ turned, 2.2, 1.0, side)
                                self.cover(car, rng.choice([METAL, CONCRETE, SLATE, TILE, PLASTIC]))

    def raise_all(self) -> None:
        """Draw buildings and trees where no river or road runs."""
        rng, canvas = self.rng, self.canvas
        for outline, angle, roof, gabled, height in self.buildings:
            if not canvas.is_free(outline.min(axis=0), outline.max(axis=0)):
                continue
            canvas.shadow(outline, height)
            tone, tint = rng.uniform(0.8, 1.15), rng.uniform(-1, 1)
            canvas.fill(outline, roof, tone, tint)
            if gabled:  # the half that faces the sun is brighter
                across = angle + np.pi / 2
                ridge = float(outline.mean(axis=0) @ _direction(across))
                lit = 1 - 0.28 * float(_direction(across) @ canvas.sun)
                canvas.fill(_cut(outline, across, ridge), roof, tone * lit, tint)
                canvas.fill(_cut(outline, across + np.pi, -ridge), roof, tone * (2 - lit), tint)
            elif height > 1.5:  # skylights and a machine house
                canvas.fill(outline, roof, 1.2 * tone, tint, (angle, rng.uniform(5, 9), 0.18))
                canvas.fill(0.12 * outline + 0.88 * outline.mean(axis=0) + rng.uniform(-2, 2, 2), METAL, 1.1)
        for point, radius in self.trees:
            if canvas.is_free(point - 1, point + 1):
                canvas.tree(point, radius)


def draw_landscape(rows: int, columns: int, rng: np.random.Generator) -> Canvas:
    """Draw a landscape of `rows` x `columns` pixels; a larger one holds more things, not larger ones."""
    canvas = Canvas(rows, columns, rng)
    land = _Landscape(canvas, rng)
    centre = np.array([rows, columns]) / 2
    ground = _rectangle(centre, columns + 2 * MARGIN, rows + 2 * MARGIN, 0.0)
    kinds = [land.farmland, land.housing, land.farmland, land.industry]
    turn = int(rng.integers(4))  # each kind in turn: neighbours differ, and a small scene has several
    for number, (district, angle) in enumerate(_divide(ground, rng.uniform(0, np.pi), 15000, 5.0, 0.12, rng)):
        kinds[(number + turn) % 4](district, angle)
    for _ in range(max(1, round(np.hypot(rows, columns) / 700))):
        canvas.ribbon(rng.uniform(5, 9), WATER, 25, (rng.choice([GRAVEL, GRASS, TREE]), 1.5))
        canvas.ribbon(rng.uniform(2.2, 3.2), ASPHALT, 30, (GRASS, 1.0))
        canvas.ribbon(rng.uniform(0.7, 1.0), GRAVEL, 20, None)
    land.raise_all()
    return canvas
