import pytest

from grounded_ram.data_engine.parsing import language
from grounded_ram.data_engine.parsing.language import FEWEST, Language, reads_english
from tests.data_engine.annotated import HALVES, read_half

FOREIGN = {
    "German": "Ein Hund l\u00e4uft im Park. Zwei Frauen sitzen auf einer Bank vor dem Haus. "
    "Die Katze schl\u00e4ft auf dem Sofa. Ein Bus steht an der Haltestelle in der Stadt.",
    "Dutch": "Een hond rent in het park. Twee vrouwen zitten op een bank voor het huis. "
    "Een man in een rood shirt fietst over de weg. Een bus staat in de stad.",
    "French": "Un chien court dans le parc. Deux femmes sont assises sur un banc devant la maison. "
    "Une table avec une assiette de fruits et un verre de vin.",
    "Spanish": "Un perro corre en el parque. Dos mujeres sentadas en un banco delante de la casa. "
    "Una mesa con un plato de frutas.",
    "Chinese": "\u4e00\u53ea\u72d7\u5728\u516c\u56ed\u91cc\u8dd1\u3002 " * 30,
}

ENGLISH = {
    "a list of tags": "dog, cat, park bench, red car, woman, street, sky, tree, bicycle, person, "
    "grass, road, wall, window, door, table, chair, house, umbrella",
    "the web": "Vintage wooden chair stock photo. Modern house exterior design ideas. Nike Air Max "
    "90 running shoes. Zorbtech XJ9000 blorp. Royalty free vector illustration",
    "as pages write it": "a&nbsp;&quot;&nbsp;&quot;&nbsp;dog " * 20,
}


def note(*captions: str) -> str:
    seen = Language()
    assert tuple(seen.watched(captions)) == captions
    return seen.note()


@pytest.mark.parametrize("name", FOREIGN)
def test_captions_of_other_languages_are_told(name: str) -> None:
    assert "seem to be in another language" in note(FOREIGN[name])


@pytest.mark.parametrize("name", ENGLISH)
def test_english_without_sentences_is_english(name: str) -> None:
    assert note(ENGLISH[name]) == ""


def test_english_captions_are_english() -> None:
    assert note(*(one.caption for half in HALVES for one in read_half(half))) == ""


def test_of_few_words_nothing_is_said() -> None:
    assert note() == note("chien " * (FEWEST - 1)) == ""
    assert note("chien " * FEWEST) != ""


def test_only_the_first_captions_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language, "LOOKED_AT", 2)
    english, french = "a dog in the park " * FEWEST, "un chien dans le parc " * FEWEST
    assert note(english, english, *[french] * 9) == ""
    assert note(french, french, *[english] * 9) != ""


def test_pipelines_of_other_languages_are_not_expected_to_read_english() -> None:
    names = ("rules", "spacy", "spacy:en_core_web_md", "spacy:de_core_news_sm", "spacy:./mine")
    assert [reads_english(name) for name in names] == [True, True, True, False, False]
