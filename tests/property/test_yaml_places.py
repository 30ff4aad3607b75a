"""Where a character of a YAML text stands in its file, for all ways to write it."""

import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.yaml_places import place_in

words = st.text(st.sampled_from("abcdefgh_.>&="), min_size=1, max_size=9)
separators = st.sampled_from([" ", " ", "\n", "\n\n", "\n  ", "  "])
texts = st.lists(st.tuples(words, separators), min_size=1, max_size=12).map(
    lambda parts: "".join(word + separator for word, separator in parts).rstrip(" \n")
)


@given(texts, st.sampled_from(["", "'", '"', "|", ">"]), st.integers(0, 6))
def test_each_character_of_a_word_is_found_where_it_is_written(text, style, indent):
    wrapped = {"key": {"of": [text]}} if indent % 2 else {"key": text}
    written = yaml.dump(wrapped, default_style=style or None, width=20, indent=max(indent, 2))
    lines = written.split("\n")
    root = yaml.compose(written, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    node = root.value[0][1]
    if indent % 2:
        node = node.value[0][1].value[0]
    # PyYAML folds some texts so that they read back otherwise.
    assume(node.value == text)
    for number, line in enumerate(text.split("\n"), 1):
        for column, character in enumerate(line, 1):
            if character != " ":
                found = place_in(node, lines, number, column)
                assert lines[found[0] - 1][found[1] - 1] == character


def test_escapes_take_more_room_in_the_file_than_in_the_text():
    written = "- \"a\\\"\\u00e9\\x41 b\\\n   c\"\n- 'it''s it'\n"
    first, second = yaml.compose(written, Loader=yaml.SafeLoader).value
    lines = written.split("\n")
    assert first.value == 'a"éA bc'
    assert [place_in(first, lines, 1, column) for column in (1, 2, 3, 4, 6, 7)] == [
        *((1, 4), (1, 5), (1, 7), (1, 13), (1, 18), (2, 4))
    ]
    assert [place_in(second, lines, 1, column) for column in (3, 4, 6)] == [(3, 6), (3, 8), (3, 10)]


def test_what_is_missing_at_the_end_is_told_behind_it():
    written = "when: depth_m >\n"
    (pair,) = yaml.compose(written, Loader=yaml.SafeLoader).value
    assert place_in(pair[1], ["when: depth_m >", ""], 1, 10) == (1, 16)
