"""What was shown before: steps back, and forward again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STEPS = 30  # back, at most


@dataclass(frozen=True)
class History:
    """States of something, one of which is the present one. Every change gives another history.

    Attributes:
        states: settings by name, the earliest first.
        now: the number of the present one.
    """

    states: tuple[Mapping[str, object], ...] = ()
    now: int = -1

    @property
    def state(self) -> Mapping[str, object]:
        """The present one; there is none before the first was noted."""
        return self.states[self.now]

    def noted(self, state: Mapping[str, object]) -> History:
        """With a state as the present one; what was undone before it can no longer be done again."""
        if self.states and state == self.state:
            return self
        states = (*self.states[: self.now + 1], state)[-(STEPS + 1) :]
        return History(states, len(states) - 1)

    def can(self, steps: int) -> bool:
        """Whether there are so many steps forward, or back where the number is negative."""
        return 0 <= self.now + steps < len(self.states)

    def moved(self, steps: int) -> History:
        """With the state so many steps away as the present one.

        Raises:
            IndexError: there is none.
        """
        if not self.can(steps):
            raise IndexError(f"there is nothing {'more to undo' if steps < 0 else 'to do again'}")
        return History(self.states, self.now + steps)
