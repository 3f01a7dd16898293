import sys

import pytest

from grounded_ram.data_engine.parsing.parser import find_parser
from grounded_ram.errors import MissingDependencyError
from tests.data_engine.annotated import HALVES, read_half, scores

FLOORS = {"object": 0.90, "scene": 0.90, "attribute": 0.90, "action": 0.85, "all": 0.90}


def test_without_spacy_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(MissingDependencyError, match=r"pip install spacy.*download en_core_web_sm"):
        find_parser("spacy")


def test_without_the_pipeline_the_error_says_what_to_download() -> None:
    pytest.importorskip("spacy")
    with pytest.raises(MissingDependencyError, match="spacy download en_no_such_pipeline"):
        find_parser("spacy:en_no_such_pipeline")


def parse(*words: tuple[str, str, str, str, str, int]) -> list[tuple[str, str]]:
    """Read a Doc made by hand: text, part of speech, tag, dependency, lemma, index of the head."""
    spacy = pytest.importorskip("spacy")
    from spacy.tokens import Doc

    from grounded_ram.data_engine.parsing.spacy_parser import SpacyParser

    texts, pos, tags, deps, lemmas, heads = map(list, zip(*words, strict=True))
    pipeline = spacy.blank("en")
    doc = Doc(
        pipeline.vocab, words=texts, pos=pos, tags=tags, deps=deps, lemmas=lemmas, heads=heads
    )
    return [tuple(tag) for tag in SpacyParser(pipeline).read(doc)]


def test_a_doc_made_by_hand_gives_its_tags() -> None:
    assert parse(
        ("Two", "NUM", "CD", "nummod", "two", 1),
        ("dogs", "NOUN", "NNS", "nsubj", "dog", 2),
        ("run", "VERB", "VBP", "ROOT", "run", 2),
        ("in", "ADP", "IN", "prep", "in", 2),
        ("a", "DET", "DT", "det", "a", 6),
        ("green", "ADJ", "JJ", "amod", "green", 6),
        ("park", "NOUN", "NN", "pobj", "park", 3),
    ) == [("dog", "object"), ("run", "action"), ("green", "attribute"), ("park", "scene")]


def test_the_lemmas_and_parts_of_speech_of_unknown_words_are_the_pipelines() -> None:
    assert parse(
        ("quaffy", "ADJ", "JJ", "amod", "quaffy", 1),
        ("zorpen", "NOUN", "NNS", "nsubj", "zorp", 2),
        ("blicked", "VERB", "VBD", "ROOT", "blick", 2),
    ) == [("quaffy", "attribute"), ("zorp", "object"), ("blick", "action")]


def test_words_with_hyphens_and_compounds_are_put_together_again() -> None:
    assert parse(
        ("long", "ADV", "RB", "advmod", "long", 2),
        ("-", "PUNCT", "HYPH", "punct", "-", 2),
        ("haired", "ADJ", "JJ", "amod", "haired", 3),
        ("dogs", "NOUN", "NNS", "ROOT", "dog", 3),
        ("with", "ADP", "IN", "prep", "with", 3),
        ("tennis", "NOUN", "NN", "compound", "tennis", 6),
        ("rackets", "NOUN", "NNS", "pobj", "racket", 4),
    ) == [("long-haired", "attribute"), ("dog", "object"), ("tennis racket", "object")]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("two", "story", ("two-story", "attribute")),
        ("flip", "flop", ("flip-flop", "object")),
        ("left", "hand", None),
        ("3", "story", None),
    ],
)
def test_a_word_with_a_hyphen_is_what_the_lexicon_says(
    first: str, last: str, expected: tuple[str, str] | None
) -> None:
    found = parse(
        (first, "NUM", "CD", "nummod", first, 2),
        ("-", "PUNCT", "HYPH", "punct", "-", 2),
        (last, "NOUN", "NN", "compound", last, 3),
        ("with", "ADP", "IN", "ROOT", "with", 3),
        ("dogs", "NOUN", "NNS", "pobj", "dog", 3),
    )
    assert found == [*filter(None, [expected]), ("dog", "object")]


def test_html_entities_are_read_before_the_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    spacy = pytest.importorskip("spacy")
    from grounded_ram.data_engine.parsing.spacy_parser import SpacyParser

    monkeypatch.setattr(SpacyParser, "read", lambda self, doc: doc.text)
    parser = SpacyParser(spacy.blank("en"))
    assert list(parser.parse(["a dog&#39;s &amp; bowl"])) == ["a dog's & bowl"]


def test_a_verb_taken_for_the_end_of_a_compound_is_a_verb() -> None:
    assert parse(
        ("taxi", "NOUN", "NN", "compound", "taxi", 1),
        ("waits", "NOUN", "NNS", "ROOT", "wait", 1),
    ) == [("taxi", "object"), ("wait", "action")]


def test_negation_possessives_and_names() -> None:
    assert parse(
        ("Tom", "PROPN", "NNP", "poss", "Tom", 2),
        ("'s", "PART", "POS", "case", "'s", 0),
        ("dog", "NOUN", "NN", "nsubj", "dog", 3),
        ("sits", "VERB", "VBZ", "ROOT", "sit", 3),
        ("without", "ADP", "IN", "prep", "without", 3),
        ("a", "DET", "DT", "det", "a", 6),
        ("leash", "NOUN", "NN", "pobj", "leash", 4),
    ) == [("dog", "object"), ("sit", "action")]


def test_a_pipeline_without_parts_of_speech_still_gives_what_is_certain() -> None:
    spacy = pytest.importorskip("spacy")
    from grounded_ram.data_engine.parsing.spacy_parser import SpacyParser

    assert list(SpacyParser(spacy.blank("en")).parse(["", " \n "])) == [(), ()]


def english_pipeline() -> str:
    """Return an installed pipeline that knows parts of speech, or skip the test."""
    spacy = pytest.importorskip("spacy")
    for name in sorted(spacy.util.get_installed_models()):
        if name.startswith("en_core_web"):
            return str(name)
    pytest.skip("no English spaCy pipeline is installed: python -m spacy download en_core_web_sm")


def test_the_captions_annotated_by_hand_are_parsed_well() -> None:
    parser = find_parser(f"spacy:{english_pipeline()}")
    for half in HALVES:
        found = scores(parser, read_half(half))
        assert {kind: s.f1 for kind, s in found.items() if s.f1 < FLOORS[kind]} == {}


def test_captions_without_words_and_long_ones_do_no_harm() -> None:
    parser = find_parser(f"spacy:{english_pipeline()}")
    none, long, shouted = parser.parse(["", "a dog and " * 500 + "a horse.", "A DOG IN A PARK"])
    assert none == ()
    assert {tag.name for tag in long} == {"dog", "horse"}
    assert {tuple(tag) for tag in shouted} == {("dog", "object"), ("park", "scene")}
