"""Values to come back to when something fails."""

from __future__ import annotations

from collections.abc import Iterable

Place = tuple[object, str]  # whose attribute, and its name


class Snapshot:
    """The values of some attributes at one moment.

    Args:
        places: the attributes. They are set again in this order, as the names that a chooser offers must be before
            the one that it holds. A value that is changed in place, such as an entry of a dict, is not noticed.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        self._values = [(owner, name, getattr(owner, name)) for owner, name in places]

    def bring_back(self) -> None:
        """Set each attribute to the value that it had; one that has it still is left alone."""
        for owner, name, value in self._values:
            if getattr(owner, name) is not value:
                setattr(owner, name, value)
