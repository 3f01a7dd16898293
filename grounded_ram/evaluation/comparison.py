"""A run beside a truth, picture by picture and under the truth's names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from grounded_ram.annotation import Annotation
from grounded_ram.errors import InputError
from grounded_ram.evaluation.found import objects_of
from grounded_ram.evaluation.naming import Naming, labelling_of, match_pictures
from grounded_ram.evaluation.truth import CocoObject, TruePicture, Truth
from grounded_ram.export.dataset import Dataset, key_of


@dataclass(frozen=True)
class Coverage:
    """What of a run and of a truth was compared.

    Args:
        pictures: that both know.
        only_found: pictures that the truth does not know.
        only_true: pictures that the run does not know.
        compared_by: how names of pictures were compared, if they are not the same.
        kinds: labels that count as the true name that they are a kind of.
        unmatched: labels that no true name stands for, and how many objects (or, where tags are
            compared, pictures) have them: they count neither for nor against.
        unknown: true names that neither the vocabulary knows nor any label means; their objects
            count as missed.
    """

    pictures: int
    only_found: int
    only_true: int
    compared_by: str = ""
    kinds: Mapping[str, str] = field(default_factory=dict)
    unmatched: Mapping[str, int] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    def notes(self) -> list[str]:
        """Say what a reader of the numbers must know."""
        kinds = ", ".join(f"{label} as {name}" for label, name in self.kinds.items())
        unmatched = ", ".join(f"{label} ({count})" for label, count in self.unmatched.items())
        told = (
            (self.only_found, "pictures of the run that the truth lacks, left out: "),
            (self.only_true, "pictures of the truth that the run lacks, left out: "),
            (self.compared_by, "names of pictures were compared "),
            (kinds, "labels that count as what they are a kind of: "),
            (unmatched, "labels that the truth has no name for, left out: "),
            (", ".join(self.unknown), "true names that no label means, all missed: "),
        )
        return [f"{what}{fact}" for fact, what in told if fact]


@dataclass(frozen=True, eq=False)
class Pair:
    """One picture of a run beside its truth, under the truth's names.

    Args:
        annotation: the run's.
        true: its true objects.
        found: the run's objects that count as a true name, called so.
        labels: what the run calls these.
        rows: their rows in ``annotation.detections``.
        others: the run's objects that no true name stands for.
    """

    annotation: Annotation
    true: list[CocoObject]
    found: list[CocoObject]
    labels: list[str]
    rows: list[int]
    others: list[CocoObject]


class Comparison:
    """The pictures of a run beside those of a truth, one at a time.

    Args:
        dataset: the run's.
        true_pictures: names of the truth's pictures.
        true_names: its classes.

    Attributes:
        run: how the run was made.
        labelling: the vocabulary that it was made with.
        naming: which true name each label counts as.

    Raises:
        InputError: they have no picture in common.
    """

    def __init__(
        self, dataset: Dataset, true_pictures: Collection[str], true_names: Collection[str]
    ) -> None:
        self._dataset = dataset
        keys, run = [], None
        for annotation in dataset:
            run = annotation.run if run is None else run
            keys.append(key_of(annotation.image))
        self.run = run or {}
        self.labelling = labelling_of(self.run)
        self.naming = Naming(true_names, self.labelling)
        self._places, self._way = match_pictures(keys, true_pictures)
        self._only_found = len(keys) - len(self._places)
        self._only_true = len(true_pictures) - len(self._places)
        self._unmatched: Counter[str] = Counter()

    def __iter__(self) -> Iterator[tuple[Annotation, str]]:
        """Yield the annotations that the truth knows, with the names of its pictures."""
        for annotation in self._dataset:
            name = self._places.get(key_of(annotation.image))
            if name is not None:
                yield annotation, name

    def pairs(self, truth: Truth) -> Iterator[Pair]:
        """Yield the pictures that both know.

        Raises:
            InputError: a picture has another size in the truth.
        """
        for annotation, name in self:
            picture = truth.pictures[name]
            _check_size(annotation, picture, name)
            true = [replace(one, name=self.naming.same_as[one.name]) for one in picture.objects]
            pair = Pair(annotation, true, [], [], [], [])
            for row, one in objects_of(annotation):
                counts_as = self.naming.true_name(one.name)
                if counts_as is None:
                    self._unmatched[one.name] += 1
                    pair.others.append(one)
                    continue
                pair.found.append(replace(one, name=counts_as))
                pair.labels.append(one.name)
                pair.rows.append(row)
            yield pair

    def seen_tags(self, annotation: Annotation, *, note: bool = False) -> dict[str, float]:
        """Return the best score of each true name among the tags of a picture.

        Args:
            annotation: of the picture.
            note: count tags that no true name stands for.
        """
        seen: dict[str, float] = {}
        tags = annotation.tags
        for tag, score in zip(tags.names, tags.scores.tolist(), strict=True):
            name = self.naming.true_name(tag)
            if name is not None:
                seen[name] = max(score, seen.get(name, 0.0))
            elif note:
                self._unmatched[tag] += 1
        return seen

    def true_tags(self, names: Collection[str]) -> set[str]:
        """Return the true names, each spelt in one way."""
        return {self.naming.same_as[name] for name in names}

    def coverage(self) -> Coverage:
        """Say what was compared, once all was."""
        return Coverage(
            len(self._places),
            self._only_found,
            self._only_true,
            self._way,
            self.naming.kinds(),
            dict(self._unmatched.most_common()),
            self.naming.unknown(),
        )


def _check_size(annotation: Annotation, picture: TruePicture, name: str) -> None:
    size = annotation.image.size_hw
    if picture.size_hw is not None and picture.size_hw != tuple(size):
        raise InputError(
            f"{name}: the truth is drawn on {picture.size_hw[1]} x {picture.size_hw[0]} pixels, "
            f"but the picture that was labelled has {size[1]} x {size[0]}; compare with the truth "
            "of the same picture (a photograph that its EXIF turns is labelled upright)"
        )
