import pytest

from grounded_ram.data_engine.labels.counting import TagCount
from grounded_ram.data_engine.labels.folding import Folding
from grounded_ram.data_engine.labels.label_system import (
    LabelSystem,
    Row,
    Tag,
    decided,
    most_frequent,
    propose,
)
from grounded_ram.data_engine.labels.limits import LISTED, Limits
from grounded_ram.errors import InputError
from grounded_ram.vocabulary.edits import Edits


def count(tag: str, captions: int, kind: int = 0) -> TagCount:
    kinds = [0, 0, 0, 0]
    kinds[kind] = captions
    return TagCount(tag, captions, tuple(kinds), {}, (f"A {tag}.",))


def proposal(
    counts: dict[str, int],
    *,
    edits: Edits | None = None,
    start: tuple[str, ...] = (),
    **limits: object,
) -> list[Row]:
    folding = Folding(edits, start)
    chosen = Limits(**{"least": 1, "top": None} | limits)
    folded = {folding.tag(name): captions for name, captions in sorted(counts.items())}
    assert len(folded) == len(counts)
    frequent = most_frequent([count(*one) for one in folded.items()], folding, chosen)
    return propose(frequent, 1000, folding, chosen)


def kept(rows: list[Row]) -> list[str]:
    return [row.tag for row in rows if row.keep]


def test_no_counts_give_no_rows() -> None:
    assert proposal({}) == []
    assert len(decided([])) == 0


def test_rows_come_by_count_then_by_name_and_say_what_is_known() -> None:
    rows = proposal({"dog": 5, "car": 9, "blorp": 5})
    assert [row.tag for row in rows] == ["car", "blorp", "dog"]
    assert [row.kind for row in rows] == ["object", "object", "object"]
    assert (rows[0].captions, rows[0].share, rows[0].examples) == (9, 0.009, ("A car.",))
    assert "automobile" in rows[0].names


def test_the_table_s_kind_goes_before_the_parser_s() -> None:
    folding, limits = Folding(), Limits(least=1)
    counts = [count("sky", 9), count("blorping", 8, kind=3)]
    rows = propose(most_frequent(counts, folding, limits), 10, folding, limits)
    assert [row.kind for row in rows] == ["stuff", "action"]


def test_a_tag_that_often_is_another_kind_of_word_is_kept_and_told() -> None:
    folding, limits = Folding(), Limits(least=1)
    counts = [
        TagCount("store", 100, (0, 69, 0, 31), {"shop": 31}, ()),
        TagCount("dance", 50, (15, 0, 0, 50), {}, ()),
        TagCount("leather", 40, (2, 0, 38, 0), {}, ()),
    ]
    rows = propose(most_frequent(counts, folding, limits), 200, folding, limits)
    assert kept(rows) == ["store", "dance", "leather"]
    assert rows[0].why == "as action in 31 of its captions: perhaps another word"
    assert [row.why for row in rows[1:]] == ["", ""]


def test_at_most_top_tags_of_at_least_so_many_captions_are_kept() -> None:
    counts = {"car": 9, "dog": 8, "cat": 7, "tree": 6, "boat": 5, "bird": 1}
    assert kept(proposal(counts, top=4)) == ["car", "dog", "cat", "tree"]
    assert kept(proposal(counts, least=7)) == ["car", "dog", "cat"]
    rows = proposal(counts, top=4)
    assert [(row.tag, row.why) for row in rows if not row.keep] == [
        ("boat", "rank: there are 4 others")
    ]
    assert kept(proposal(counts, top=0)) == []


def test_kinds_have_limits_of_their_own() -> None:
    counts = {"car": 9, "dog": 8, "sky": 7, "grass": 6, "kitchen": 5}
    limited = proposal(counts, top_of_kind={"object": 1, "scene": 0})
    assert kept(limited) == ["car", "sky", "grass"]
    both = proposal(counts, top_of_kind={"object": 1}, top=2)
    assert kept(both) == ["car", "sky"]


def test_what_speaks_against_a_tag_is_told_and_takes_no_room() -> None:
    counts = {"music": 9, "x7": 8, "q": 7, "dog": 6, "3D": 5, "car": 4}
    rows = proposal(counts, top=3)
    assert kept(rows) == ["dog", "3D", "car"]
    assert len({row.tag for row in rows}) == len(rows)
    why = {row.tag: row.why for row in rows if not row.keep}
    assert set(why) == {"music", "x7", "q"}
    assert "abstract" in why["music"]
    assert "no word" in why["x7"]
    assert "single letter" in why["q"]


def test_junk_below_the_last_tag_is_not_shown() -> None:
    counts = {"dog": 9, "cat": 8, **{f"x{i}": 2 for i in range(50)}}
    assert [row.tag for row in proposal(counts, top=1)] == ["dog"]
    assert len(proposal(counts)) == 52


def test_words_with_accents_hyphens_and_apostrophes_are_words() -> None:
    names = ["crème brûlée", "jack-o'-lantern", "rosé"]
    assert kept(proposal(dict.fromkeys(names, 5))) == sorted(names)


def test_tags_to_start_from_stay_whatever_their_count_and_take_room() -> None:
    start = ("zorb", "automobile", "music")
    rows = proposal({"car": 9, "dog": 8, "music": 7}, start=start, least=5, top=4)
    assert kept(rows) == ["automobile", "dog", "music", "zorb"]  # "car" counts as "automobile"
    fewer = proposal({"car": 9, "dog": 8, "music": 7}, start=start, least=5, top=3)
    assert kept(fewer) == ["automobile", "music", "zorb"]
    notes = {row.tag: row.why for row in rows}
    assert "no caption has it" in notes["zorb"]
    assert notes["music"] == ""


def test_synonyms_to_start_from_are_told_and_not_folded() -> None:
    rows = proposal({"automobile": 9, "car": 8}, start=("automobile", "car"))
    assert kept(rows) == ["automobile", "car"]
    assert rows[1].maybe_same_as == "automobile"
    assert "vocabulary" in rows[1].why


def test_the_user_s_own_word_goes_before_all() -> None:
    rows = proposal({"dog": 9, "car": 8}, edits=Edits(block=("dog",)), start=("dog",), top=1)
    assert kept(rows) == ["car"]
    assert rows[0].why == "your vocabulary blocks it"


def test_spellings_are_suggested_and_both_stay() -> None:
    rows = proposal({"blorps": 9, "blorp": 8})
    assert kept(rows) == ["blorps", "blorp"]
    assert [row.maybe_same_as for row in rows] == ["", "blorps"]
    assert rows[1].why == "perhaps 'blorps': singular and plural"
    assert rows[1].same_as == ""


def test_only_so_many_counts_are_held() -> None:
    folding = Folding(start=("zorb",))
    limits = Limits(top=10)
    assert limits.listed == LISTED
    assert Limits(top=LISTED).listed == 2 * LISTED
    stream = (count(f"x{i}", i + 1) for i in range(LISTED + 5))
    found = most_frequent(stream, folding, limits)
    assert len(found) == LISTED + 1
    assert (found[0].tag, found[-1].tag) == (f"x{LISTED + 4}", "zorb")


def rows_of(*rows: Row) -> LabelSystem:
    return decided(rows)


def test_what_is_the_same_becomes_one_tag_under_its_new_name() -> None:
    system = rows_of(
        Row(tag="auto", kind="object", captions=5, same_as="jalopy", names=("automobile",)),
        Row(tag="jalopy", kind="object", captions=1, same_as="car"),
        Row(tag="car", kind="object", captions=3, rename="motor car"),
        Row(tag="dog", kind="object", captions=8),
        Row(tag="cat", kind="object", captions=99, keep=False),
    )
    assert system.tags == (
        Tag("motor car", "object", ("auto", "automobile", "jalopy", "car"), 9),
        Tag("dog", "object", (), 8),
    )
    assert [system.tag_of(n) for n in ("automobile", "motor car", "cat")] == [
        "motor car",
        "motor car",
        None,
    ]
    assert len(system) == 2


def test_names_are_found_in_any_case_but_the_exact_one_goes_before() -> None:
    system = LabelSystem([Tag("Polo", "text"), Tag("polo", "action"), Tag("French", "text")])
    assert [system.tag_of(n) for n in ("Polo", "polo", "french", "FRENCH")] == [
        "Polo",
        "polo",
        "French",
        "French",
    ]


def test_its_vocabulary_has_its_tags_and_no_others() -> None:
    system = LabelSystem(
        [Tag("hound", "object", ("dog", "puppy")), Tag("3D", "attribute", ("3d",))]
    )
    table = system.vocabulary()
    assert set(table.names()) == {"hound", "dog", "puppy", "3D", "3d"}
    assert (table.head("puppy"), table.label("3d"), table.kind("dog")) == ("hound", "3D", "object")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([Row(tag="a", kind="object", same_as="b")], "unknown tag under same_as 'b'"),
        (
            [Row(tag="a", kind="object", same_as="b"), Row(tag="b", kind="object", keep=False)],
            "'b', which is not kept",
        ),
        (
            [Row(tag="a", kind="object", same_as="b"), Row(tag="b", kind="object", same_as="a")],
            "the same as itself",
        ),
        (
            [Row(tag="a", kind="object"), Row(tag="b", kind="object", rename="a")],
            "stands for 'a' and for another tag",
        ),
    ],
)
def test_contradictions_are_refused(rows: list[Row], message: str) -> None:
    with pytest.raises(InputError, match=message):
        decided(rows)
