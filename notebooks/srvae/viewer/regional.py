"""Noise of its own for one rectangle of the picture, while the rest stays."""

from __future__ import annotations

import math
import random

import srvae_core as sr

from .settings import DIRECTIONS, REGIONS, SEEDS, TEMPERATURE_OF_SAMPLES, Region
from .stage import Stage


class Regional(Stage):
    """What the page "region" does. Its sliders belong to the rectangle that is selected, or else to what is visible."""

    @property
    def target(self) -> sr.Rect:
        """The rectangle that changes, (top, left, height, width) in LR samples."""
        if not self.picture.selection:
            return self.region
        left, top, width, height = self.picture.selection
        h, w = self.lr.shape[:2]
        sides = []
        for start, size, n in ((top, height, h), (left, width, w)):
            first = min(start // self.scale, n - 1)
            sides.append((first, min(n, max(first + 1, math.ceil((start + size) / self.scale)))))
        (y, bottom), (x, right) = sides
        return y, x, bottom - y, right - x

    @property
    def _active(self) -> Region | None:
        """The region of that very rectangle, if it was the last to be changed."""
        return self.regions[-1] if self.regions and self.regions[-1].rect == self.target else None

    # Whatever is shown anew may have another rectangle, or other noise in it.

    def compose(self, changed: sr.Rect | None = None) -> None:
        super().compose(changed)
        self.show_region()

    def look(self) -> None:
        super().look()
        self.show_region()

    def show_region(self) -> None:
        """Let the sliders say what holds inside the rectangle."""
        active, everywhere = self._active, self.present.latents
        held = everywhere if active is None else active
        temperature = held.temperature
        if active is None and not temperature:  # noise is what one comes here for
            temperature = TEMPERATURE_OF_SAMPLES
        with self.pace.hold():
            self.region_temperature.value = temperature
            self.region_seed.value = held.seed
            amounts = held.amounts or (0.0,) * len(DIRECTIONS)
            self.region_amount.value = amounts[self.region_direction.index or 0]

    def reroll_region(self) -> None:
        """Draw the noise inside the rectangle anew."""
        taken = self.region_seed.value, self.seed.value
        with self.pace.hold():
            self.region_seed.value = float(random.choice([seed for seed in range(SEEDS + 1) if seed not in taken]))
        self.change_region()

    def change_region(self) -> None:
        """Give the rectangle the noise that its sliders name; the rest of the picture stays.

        Raises:
            ValueError: there are too many regions.
        """
        rect, active = self.target, self._active
        others = self.regions if active is None else self.regions[:-1]
        if len(others) >= REGIONS:
            raise ValueError(f"a picture has {REGIONS} regions at most: undo some, or drop them all")
        held = self.present.latents if active is None else active
        amounts = list(held.amounts or (0.0,) * len(DIRECTIONS))
        amounts[self.region_direction.index or 0] = self.region_amount.value
        temperature, seed = self.region_temperature.value, self.region_seed.value
        if any(amounts):
            self.present_directions()
        top, left, height, width = rect
        self.regions = (*others, Region(left, top, width, height, temperature, seed, tuple(amounts)))
        self._show_which()
        self.decode(rect)

    def drop_regions(self) -> None:
        """Give the whole picture one noise again."""
        self.regions = ()
        self._show_which()
        self.decode()
