"""The annotations of many images as exporters get them: read one at a time, as often as needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from grounded_ram.annotation import Annotation, ImageFacts


@dataclass(frozen=True, eq=False)
class Dataset:
    """Annotations, and what a format must know of all of them before it writes the first.

    Iterating it reads the annotations, always in the same order; the pixels are not kept.

    Args:
        read: reads the annotations from the first one on.
        count: how many there are.
        kinds: the kind of each name that an object has, names sorted: class ids are their places.
        objects: how many objects have each name.
        splits: the split of each image by ``key_of``; empty where there is one dataset for all.
    """

    read: Callable[[], Iterable[Annotation]]
    count: int
    kinds: Mapping[str, str]
    objects: Mapping[str, int]
    splits: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, annotations: Sequence[Annotation]) -> Dataset:
        """Make a dataset of annotations that are in memory."""
        return cls.reading(lambda: annotations)

    @classmethod
    def reading(cls, read: Callable[[], Iterable[Annotation]]) -> Dataset:
        """Make a dataset, and read it once to know its classes.

        Args:
            read: reads the annotations from the first one on.
        """
        count, kinds, objects = 0, dict[str, str](), Counter[str]()
        for annotation in read():
            count += 1
            tags = annotation.tags
            for row in np.asarray(annotation.detections.class_id).tolist():
                kinds.setdefault(tags.names[row], tags.kinds[row])
                objects[tags.names[row]] += 1
        names = sorted(kinds)
        return cls(read, count, {n: kinds[n] for n in names}, {n: objects[n] for n in names})

    def __iter__(self) -> Iterator[Annotation]:
        return iter(self.read())

    def __len__(self) -> int:
        return self.count

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names that objects have, sorted."""
        return tuple(self.kinds)

    @property
    def split_names(self) -> tuple[str, ...]:
        """Return the names of the splits in the order train, val, test; empty if there are none."""
        found = set(self.splits.values())
        usual = [name for name in ("train", "val", "test") if name in found]
        return (*usual, *sorted(found.difference(usual)))

    def split_of(self, annotation: Annotation) -> str:
        """Return the split that an image is in; "train" where there are none."""
        return self.splits.get(key_of(annotation.image), "train")


def key_of(image: ImageFacts) -> str:
    """Return what tells an image from all others of its dataset: its path inside it."""
    return image.name if image.file_name is None else image.file_name
