"""What an action of the view does, it does whole or not at all; and what was before it can be brought back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from .files import Source
from .pages import show_if
from .picture import LAYERS
from .screen import Screen
from .snapshot import Place, Snapshot
from .subject import Prepared

RECTANGLES = ("left_rect", "right_rect", "overlay_rect")  # of layers that need not cover everything


class Actions(Screen):
    """Runs what controls do. After an error the controls, the picture and what is known of it are as they were.

    Args:
        images: names to choose from.
        models: likewise.
        rest_delay: seconds without a move after which the exact answer is shown.
    """

    def __init__(self, images: list[str], models: list[str], rest_delay: float) -> None:
        super().__init__(images, models, rest_delay)
        self.sources: dict[str, Source] = {}
        self._prepared: Prepared | None = None  # what is on show
        self._own_temperature = 0.0  # the present model's
        self._named = False  # whether the directions have got their names
        # What the picture is of: to come back to when a control fails, and for the history. The stage sets it first.
        self._chosen, self._state = Snapshot([]), {}
        self._moving: object = None  # the slider that the last action was a move of

    def _set(self, values: Mapping[str, object]) -> None:
        """Change controls without running their handlers."""
        with self.pace.hold(), self.picture.hold_sync():
            for name, value in values.items():
                setattr(*self.places[name], value)
        self._show_which()

    def _show_which(self) -> None:
        """Let those controls be seen that are of use now."""
        show_if(self.left.value == "another sample", self.left_seed)
        self.drop.disabled = not self.regions

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """After an error inside, the view is as it was: first what is shown, then the controls that it is of."""
        chosen, state = self._chosen, self._state
        shown, laid = Snapshot(self._shown()), self.picture.laid
        try:
            yield
        except BaseException:  # an interrupted cell is one of them
            with self.pace.hold(), self.picture.hold_sync():
                shown.bring_back()
                chosen.bring_back()
                if self.picture.laid != laid:
                    self._lay_again()
            self._chosen, self._state = chosen, state
            self._show_which()
            raise
        self._chosen, self._state = self._choices(), self.state

    def whole(self, action: Callable[[], str | None], moving: object = None, *, changes: bool = True) -> str | None:
        """What a control does, or nothing of it.

        Args:
            action: what it does.
            moving: the slider, where the action follows one: its moves until the next rest are one step back.
            changes: whether it may change more than where one looks.
        """
        if changes:
            self._note_before(moving)
        with self._all_or_nothing():
            return action()

    def _note_before(self, moving: object) -> None:
        """Take what was before an action into the history: it may not have come to rest."""
        if moving is None or moving is not self._moving:
            self.remember(self.history.noted(self._state))
        self._moving = moving

    def _choices(self) -> Snapshot:
        """What the controls say. When a handler begins, one of them has changed already: this is of the time before."""
        there = (self.region_temperature, self.region_seed, self.region_direction, self.region_amount)
        others = [(control, "value") for control in (self.overlay, *there)]
        return Snapshot([*self.places.values(), *others])

    def _shown(self) -> Iterator[Place]:
        """What else an action may change, but for its own results, such as a file."""
        own = (
            "scene",
            "deviation",
            "remarks",
            "sources",
            "history",
            "_measured",
            "_right",
            "_left",
            "_whole",
            "_scores",
        )
        yield from ((self, name) for name in (*own, "_prepared", "_own_temperature", "_named"))
        labels = ("left_label", "right_label", "name", "exact", "working", "size", "selection")
        # but for patches, of which the page has a pile
        yield from ((self.picture, name) for name in (*LAYERS, *RECTANGLES, *labels) if name != "patch")
        yield from ((self.picture, name) for name in ("overview", "overview_rect"))
        yield from ((text, name) for text in (self.metrics, self.spread) for name in ("value", "_dom_classes"))
        yield from ((image, "value") for image in self.thumbnails)
        yield from ((pick, name) for pick in self.picks for name in ("disabled", "description", "tooltip"))
        yield self.image, "options"
        yield self.region_direction, "options"
        yield from ((button, "disabled") for button in (self.undo, self.redo))
        yield from ((slider, name) for slider in self.amounts for name in ("description", "tooltip"))
        yield from ((image, "value") for image in (*self.befores, *self.afters))
