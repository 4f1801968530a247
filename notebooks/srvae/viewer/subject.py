"""What the view is of: an image and the part of it that is in work, under a model, made ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count

import srvae_core as sr

from .files import Reading, Source
from .scene import Scene, load_weights
from .window import LR_EDGE, cut, remark, window

NAMED = 5  # files that could not be read: more of them are only counted


@dataclass(frozen=True)
class Subject:
    """What a scene is of: an image and the part of it that is in work, under a model."""

    image: str
    model: str
    work_across: float = 0.5
    work_down: float = 0.5


@dataclass(frozen=True)
class Prepared:
    """A scene that is ready to be shown, and what is said and shown beside it."""

    subject: Subject
    source: Source
    scene: Scene
    weights: str  # their version, from :func:`srvae_core.weights_version`
    remarks: tuple[str, ...]
    reading: Reading  # the whole image
    rect: sr.Rect  # of the part in work


def prepare(subject: Subject, source: Source, reading: Reading, options: Mapping[str, object]) -> Prepared:
    """The scene of a subject.

    Args:
        subject: what it is of.
        source: where its image comes from.
        reading: the whole image of that source.
        options: for :class:`~viewer.scene.Scene`.

    Raises:
        OSError, ValueError: the model cannot be read, or the image is too small.
    """
    network, weights = load_weights(subject.model)
    step = network.scale if source.is_original else 1
    rect = window(reading.image, step * LR_EDGE, subject.work_across, subject.work_down, step=step)
    try:
        scene = Scene(cut(reading.image, rect), network, is_original=source.is_original, **options)
    except ValueError as error:
        raise ValueError(f"{subject.image}: {error}") from error
    remarks = (*reading.remarks, *filter(None, [remark(reading.image, rect)]))
    return Prepared(subject, source, scene, weights, remarks, reading, rect)


def name_for(name: str, source: Source, taken: Mapping[str, Source]) -> str:
    """The name under which an image is offered: its own, or one with a number where that is another image's."""
    names = chain([name], (f"{name} ({number})" for number in count(2)))
    return next(n for n in names if n not in taken or taken[n].is_same(source))


def listed(reasons: Sequence[str]) -> str:
    """Why some files could not be read, the first of them in words."""
    more = len(reasons) - NAMED
    return "; ".join([*reasons[:NAMED], *([f"and {more} more"] if more > 0 else [])])
