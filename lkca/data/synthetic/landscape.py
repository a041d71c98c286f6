"""Draw an aerial landscape from random numbers: the material, brightness and tint of every place.

Land is divided into districts, blocks and parcels by repeated straight cuts; the gaps between them become roads,
streets, tracks and hedges. Parcels become fields with crop rows, orchards, woods, house lots, halls and car parks. A
river and winding roads run across; buildings and trees, with their shadows, come last.
"""

import numpy as np

from lkca.data.synthetic.canvas import Canvas, Stripes, area, cut, direction, extent, rectangle, sides
from lkca.data.synthetic.materials import (
    ASPHALT,
    CEREAL,
    CONCRETE,
    CROP,
    GRASS,
    GRAVEL,
    MEMBRANE,
    METAL,
    PLASTIC,
    SLATE,
    SOIL,
    TILE,
    TREE,
    WATER,
)

MARGIN = 40  # pixels of land beyond each border, so that the border cuts through parcels


def _divide(
    polygon: np.ndarray, angle: float, largest: float, gap: float, jitter: float, rng: np.random.Generator
) -> list[tuple[np.ndarray, float]]:
    """Cut `polygon` across its longer side, leaving a `gap`, until no part has much more than the area `largest`.

    Cuts follow `angle`, varied by `jitter` (radians). Return the parts, each with the angle of its last cut.
    """
    parts, waiting = [], [(polygon, angle)]
    while waiting:
        polygon, angle = waiting.pop()
        if len(polygon) < 3:
            continue
        if area(polygon) <= largest * rng.uniform(0.7, 1.3):
            parts.append((polygon, angle))
            continue
        along, across = sides(polygon, angle)
        normal = angle + (np.pi / 2 if across > along else 0) + rng.normal(0, jitter)
        low, high = extent(polygon, normal)
        offset = low + (high - low) * rng.uniform(0.36, 0.64)
        waiting.append((cut(polygon, normal, offset + gap / 2), normal))
        waiting.append((cut(polygon, normal + np.pi, -offset + gap / 2), normal))
    return parts


class _Landscape:
    """Fill land with fields and built-up blocks; collect buildings and trees, which are drawn last."""

    def __init__(self, canvas: Canvas, rng: np.random.Generator):
        self.canvas, self.rng = canvas, rng
        # Polygon, angle, roof material, whether it is gabled, length of shadow.
        self.buildings: list[tuple[np.ndarray, float, int, bool, float]] = []
        self.trees: list[tuple[np.ndarray, float]] = []  # centre, radius

    def cover(
        self, polygon: np.ndarray, material: int, stripes: Stripes | None = None, tint: float | None = None
    ) -> None:
        """Fill a polygon with a brightness and tint drawn for this object."""
        tint = self.rng.uniform(-0.9, 0.9) if tint is None else tint
        self.canvas.fill(polygon, material, self.rng.uniform(0.9, 1.1), tint, stripes)

    def plant(self, polygon: np.ndarray, angle: float, spacing: float, radius: float, scatter: float) -> None:
        """Plant trees over a polygon, on a grid, each displaced by up to `scatter` of the spacing."""
        turn = np.stack([direction(angle), direction(angle + np.pi / 2)])
        spans = [np.arange(low + spacing / 2, high, spacing) for low, high in
                 (extent(polygon, angle), extent(polygon, angle + np.pi / 2))]  # fmt: skip
        grid = np.stack(np.meshgrid(*spans, indexing="ij"), axis=-1).reshape(-1, 2)
        grid = (grid + self.rng.uniform(-scatter, scatter, grid.shape) * spacing) @ turn
        edges = np.roll(polygon, -1, axis=0) - polygon
        away = grid[:, None] - polygon
        within = (away[..., 1] * edges[:, 0] - away[..., 0] * edges[:, 1] <= 0).all(axis=1)
        self.trees += [(point, radius * self.rng.uniform(0.75, 1.25)) for point in grid[within]]

    def farmland(self, district: np.ndarray, angle: float) -> None:
        """Divide a district into fields."""
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
        """Divide a district into blocks of house lots, and parks."""
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
                size = np.sqrt(area(lot))
                middle = lot.mean(axis=0) + rng.uniform(-0.08, 0.08, 2) * size
                drive = rng.choice([0, np.pi / 2, np.pi, -np.pi / 2]) + side
                way = rectangle(middle + 0.3 * size * direction(drive), size / 2, 1.6, drive)
                self.cover(way, CONCRETE)
                length, width = size * rng.uniform((0.5, 0.32), (0.72, 0.48))
                house = rectangle(middle, length, width, side)
                self.buildings.append((house, side, rng.choice(roofs), True, rng.uniform(1.5, 3)))
                self.plant(lot, side, 6.5, 1.5, 0.5)
                if rng.random() < 0.4:  # a shed or garage
                    shed = rectangle(middle + 0.42 * size * direction(drive + np.pi / 2), 3, 2.4, side)
                    roof = rng.choice([METAL, MEMBRANE, SLATE, PLASTIC])
                    self.buildings.append((shed, side, roof, False, 1.0))

    def industry(self, district: np.ndarray, angle: float) -> None:
        """Divide a district into lots with halls, and car parks."""
        rng = self.rng
        self.cover(district, ASPHALT, tint=0.5)
        for block, turn in _divide(district, angle, 4200, 4, 0.02, rng):
            self.cover(block, rng.choice([CONCRETE, ASPHALT, GRASS], p=[0.5, 0.3, 0.2]))
            for lot, side in _divide(block, turn, 1500, 1.5, 0, rng):
                size = sides(lot, side)
                if rng.random() < 0.6:
                    hall = rectangle(lot.mean(axis=0), *(size * rng.uniform(0.55, 0.85, 2)), side)
                    roofs = [METAL, MEMBRANE, SLATE, GRAVEL, TILE, PLASTIC]
                    roof = rng.choice(roofs, p=[0.3, 0.17, 0.2, 0.17, 0.1, 0.06])
                    self.buildings.append((hall, side, roof, False, rng.uniform(2, 5)))
                else:  # a car park: marked bays and cars
                    self.cover(lot, ASPHALT)
                    self.cover(lot, CONCRETE, (side, 8, 0.07))
                    turned = np.stack([direction(side), direction(side + np.pi / 2)])
                    (a, b), (c, d) = extent(lot, side), extent(lot, side + np.pi / 2)
                    for p in np.arange(np.ceil((a + 2) / 8) * 8 + 1.8, b - 2, 8):
                        for q in np.arange(c + 2, d - 2, 1.8):
                            if rng.random() < 0.55:
                                car = rectangle(np.array([p, q]) @ turned, 2.2, 1.0, side)
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
                ridge = float(outline.mean(axis=0) @ direction(across))
                lit = 1 - 0.28 * float(direction(across) @ canvas.sun)
                canvas.fill(cut(outline, across, ridge), roof, tone * lit, tint)
                canvas.fill(cut(outline, across + np.pi, -ridge), roof, tone * (2 - lit), tint)
            elif height > 1.5:  # skylights and a machine house
                canvas.fill(outline, roof, 1.2 * tone, tint, (angle, rng.uniform(5, 9), 0.18))
                canvas.fill(0.12 * outline + 0.88 * outline.mean(axis=0) + rng.uniform(-2, 2, 2), METAL, 1.1)
        for point, radius in self.trees:
            if canvas.is_free(point - 1, point + 1):
                canvas.tree(point, radius)


def draw_landscape(rows: int, columns: int, rng: np.random.Generator) -> Canvas:
    """Draw a landscape of `rows` x `columns` pixels; a larger one has more objects, not larger ones."""
    canvas = Canvas(rows, columns, rng)
    land = _Landscape(canvas, rng)
    centre = np.array([rows, columns]) / 2
    ground = rectangle(centre, columns + 2 * MARGIN, rows + 2 * MARGIN, 0.0)
    kinds = [land.farmland, land.housing, land.farmland, land.industry]
    turn = int(rng.integers(4))  # the kinds in turn, so that neighbours differ and a small scene has several kinds
    for number, (district, angle) in enumerate(_divide(ground, rng.uniform(0, np.pi), 15000, 5.0, 0.12, rng)):
        kinds[(number + turn) % 4](district, angle)
    for _ in range(max(1, round(np.hypot(rows, columns) / 700))):
        canvas.ribbon(rng.uniform(5, 9), WATER, 25, (rng.choice([GRAVEL, GRASS, TREE]), 1.5))
        canvas.ribbon(rng.uniform(2.2, 3.2), ASPHALT, 30, (GRASS, 1.0))
        canvas.ribbon(rng.uniform(0.7, 1.0), GRAVEL, 20, None)
    land.raise_all()
    return canvas
