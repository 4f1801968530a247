"""Images that come into the view, and pictures that leave it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from . import files
from .files import Reading, Source
from .regional import Regional
from .settings import SIDES
from .subject import name_for


class Filing(Regional):
    """What folder, upload and drop bring, and what save, download and load do."""

    # Images.

    def take_folder(self) -> str:
        return self.take_in(files.folder_sources(self.folder.value)) if self.folder.value else ""

    def take_upload(self) -> str:
        uploaded = [(file["name"], file["content"]) for file in self.upload.value]
        with self.pace.hold():
            self.upload.value = ()  # so that the same file can come once more, say as an original
        return self._take_files(uploaded) if uploaded else ""

    def take_message(self, _: object, content: Mapping[str, object], buffers: Sequence[memoryview]) -> None:
        """What the page sends besides values: files dropped on the picture, and where to work."""

        def take() -> str | None:
            if content["kind"] == "drop":
                return self._take_files(list(zip(content["names"], buffers, strict=True)))
            if content["kind"] == "work":
                return self._work_at(content["x"], content["y"])
            return None

        self.pace.guarded(partial(self.whole, take))(None)

    def _work_at(self, x: float, y: float) -> str:
        try:
            return self.work_at(x, y)
        finally:  # after an error, too, the page's frame goes where the part in work is
            self.picture.overview_rect = self.picture.overview_rect

    def _take_files(self, given: Sequence[tuple[str, bytes | memoryview]]) -> str:
        """Of several files those that can be read are taken, and the others named.

        A single PNG that the view saved brings its settings back.
        """
        if len(given) == 1 and files.holds_settings(bytes(given[0][1])):
            return self._bring_back(files.saved_in(given[0][0], bytes(given[0][1])))
        sources, refused = {}, []
        for name, content in given:
            try:
                source = files.upload_source(name, content, is_original=self.reduce.value)
                sources[name_for(name, source, sources)] = source  # two folders may each have an IMG_1.jpg
            except ValueError as error:
                refused.append(str(error))
        return self.take_in(sources, refused)

    # PNG files with settings.

    def _png(self) -> bytes:
        """The whole answer with what made it; an LR image that did not come with the notebook goes along."""
        keep_lr = not self.sources[self.image.value].given
        picture = self.scene.answer(self.present, self.scene.whole)
        return files.png_bytes(
            picture,
            self.settings,
            self._prepared.weights,
            self.lr,
            keep_lr=keep_lr,
        )

    def save_png(self) -> str:
        return files.save_png(files.png_path(self.path.value), self._png())

    def download_png(self) -> None:
        self.picture.download(files.png_path(self.path.value).name, self._png())

    def load_png(self) -> str:
        return self._bring_back(files.load_png(Path(self.path.value).expanduser()))

    def _bring_back(self, saved: files.Saved) -> str:
        """Show what a saved PNG shows; returns why it will differ, or ""."""
        settings = dict(saved.settings)
        if saved.lr is not None:
            name = self.offer({saved.name: Source(Reading(saved.lr), is_original=False)})[saved.name]
            left = SIDES[0] if settings["left"] == "original" else settings["left"]  # there is none any more
            settings |= {"image": name, "left": left}
        if settings["image"] not in self.sources:
            raise ValueError(f"{saved.name} is of {settings['image']!r}, which is not among the images here")
        self.apply(settings, anew=True)  # anew: an image of this name may have been on show
        return saved.difference(self.lr, self._prepared.weights)
