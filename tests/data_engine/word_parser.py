"""A parser that a test can check by hand: every word is a tag, and its ending says the kind."""

from collections.abc import Iterable, Iterator

from grounded_ram.data_engine.parsing.parser import ParsedTag

LEFT_OUT = {"a", "an", "and", "on", "the", "two"}


class WordParser:
    def parse(self, captions: Iterable[str]) -> Iterator[tuple[ParsedTag, ...]]:
        for caption in captions:
            words = [word.strip(".,") for word in caption.lower().split()]
            yield tuple(dict.fromkeys(tag for word in words for tag in tags_of(word)))


def tags_of(word: str) -> list[ParsedTag]:
    if word in LEFT_OUT:
        return []
    if word == "dance":  # what is ambiguous is both
        return [ParsedTag(word, "object"), ParsedTag(word, "action")]
    return [ParsedTag(word.replace("_", " "), "action" if word.endswith("ing") else "object")]
