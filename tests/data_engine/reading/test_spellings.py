from grounded_ram.data_engine.reading.spellings import alike_but_for_case, case_note


def test_tags_that_differ_by_capitals_are_grouped_and_others_are_not() -> None:
    found = alike_but_for_case(["dog", "cat", "Dog", "dog", "DOG", "Car", "dogs", "car"])
    assert found == [("Car", "car"), ("DOG", "Dog", "dog")]
    assert alike_but_for_case([]) == alike_but_for_case(["dog", "dogs"]) == []


def test_the_note_has_the_counts_and_what_to_do() -> None:
    note = case_note({"dog": 1200, "Dog": 3, "cat": 1})
    assert "'Dog' (3) and 'dog' (1,200). If they are one thing, write them alike" in note
    assert "grounded-ram parse DATA --tags FILE" in note
    assert "cat" not in note
    assert case_note({"dog": 1, "cat": 2}) == case_note({}) == ""


def test_of_many_groups_the_first_are_told_and_the_rest_counted() -> None:
    counts = {name: 1 for letter in "abcde" for name in (letter, letter.upper())}
    note = case_note(counts)
    assert "'C' (1) and 'c' (1), and 2 more such pairs." in note
    assert "'D'" not in note
