"""The one thing that every engine runs: pictures in, their records out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from grounded_ram.annotation import Annotation
from grounded_ram.autolabel.decoders import Read
from grounded_ram.autolabel.outcomes import Failed, Labelled, Outcome
from grounded_ram.errors import GroundedRAMError, InputError
from grounded_ram.export.records import encode
from grounded_ram.images import LoadedImage
from grounded_ram.pipeline import GroundedRAM
from grounded_ram.runtime import torch_threads


@dataclass(frozen=True, eq=False)
class Labeller:
    """Labels batches of pictures; pickling it takes the choices along, not the weights.

    Args:
        model: what labels them.
        tags: words to look for instead of asking the tagger.
        threads: of torch; results differ in their last digits with their number, so that it is the
            same for all processes of a run. None leaves it to torch.
    """

    model: GroundedRAM
    tags: tuple[str, ...] | None = None
    threads: int | None = None

    def __call__(self, batch: Sequence[Read]) -> list[Outcome]:
        """Return what came of each picture, in order; what one of them is, changes no other.

        Raises:
            GroundedRAMError: the models cannot work at all: weights are absent, say.
            OSError: the disk is full, say.
        """
        pictures = [one.picture for one in batch if isinstance(one.picture, LoadedImage)]
        with torch_threads(self.threads):
            annotations = iter(self._annotate(pictures))
        return [
            Failed(one.item.name, one.picture)
            if isinstance(one.picture, str)
            else self._outcome(one.item.name, next(annotations))
            for one in batch
        ]

    def _annotate(self, pictures: Sequence[LoadedImage]) -> list[Annotation | str]:
        """Annotate pictures at once; where one spoils that, one by one."""
        try:
            return [*self.model.annotate_batch(pictures, tags=self.tags)]
        except InputError as error:
            reason = str(error)
        except (GroundedRAMError, OSError):
            raise
        except Exception as error:  # too large for the memory, say
            reason = f"{type(error).__name__}: {error}"
        if len(pictures) == 1:
            return [reason]
        return [found for picture in pictures for found in self._annotate([picture])]

    def _outcome(self, name: str, found: Annotation | str) -> Outcome:
        if isinstance(found, str):
            return Failed(name, found)
        annotation = replace(found, image=replace(found.image, file_name=name))
        record = encode(annotation)
        return Labelled(name, annotation.image.sha256, len(annotation.detections), record)
