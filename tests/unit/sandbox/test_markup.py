"""HTML in, text and entities out."""

import html

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tocsin.sandbox.errors import ApiError
from tocsin.sandbox.markup import TAGS, Parsed, parse_html
from tocsin.sandbox.text import Entity, normalise, utf16_length

texts = st.text(st.characters(exclude_categories=["Cs"]))
plain_tags = st.sampled_from(sorted(set(TAGS) - {"a", "span", "tg-emoji"}))


@given(texts, st.booleans())
@example("&amp;<b>&#39;&", True)
@example("\x00\r\n ", False)
def test_any_escaped_text_comes_back_as_it_was(text: str, has_quotes: bool):
    parsed = parse_html(html.escape(text, quote=has_quotes))
    assert parsed.text == text
    assert parsed.entities == []


@given(texts, plain_tags, texts, texts)
def test_a_tag_marks_exactly_what_it_holds(before: str, tag: str, inside: str, after: str):
    parsed = parse_html(f"{html.escape(before)}<{tag}>{html.escape(inside)}</{tag}>{html.escape(after)}")
    assert parsed.text == before + inside + after
    if not inside:
        assert parsed.entities == []
        return
    assert parsed.entities == [{"type": TAGS[tag], "offset": utf16_length(before), "length": utf16_length(inside)}]


@given(texts)
def test_a_link_keeps_any_escaped_address(query: str):
    url = f"https://tocsin.example.com/?q={query}"
    parsed = parse_html(f'<a href="{html.escape(url)}">x</a>')
    assert [each["url"] for each in parsed.entities] == [url]


@given(st.text("<>/&;=\"' \nabp!-#x39é😀", max_size=30))
def test_any_input_is_read_or_refused(source: str):
    refusals: list[str] = []
    parsed = Parsed("", [])
    try:
        parsed = parse_html(source)
    except ApiError as error:
        refusals.append(error.description)
    assert all(text.startswith("Bad Request: can't parse entities: ") for text in refusals)
    for entity in parsed.entities:
        assert 0 <= entity["offset"] < entity["offset"] + entity["length"] <= utf16_length(parsed.text)


@given(texts, st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20), plain_tags), max_size=5))
def test_trimming_keeps_entities_inside_the_text(text: str, spans: list[tuple[int, int, str]]):
    given_entities: list[Entity] = [
        {"type": TAGS[tag], "offset": offset, "length": length}
        for offset, length, tag in spans
        if offset + length <= utf16_length(text)
    ]
    trimmed, entities = normalise(text, given_entities)
    assert trimmed == trimmed.rstrip()
    for entity in entities:
        assert 0 <= entity["offset"] < entity["offset"] + entity["length"] <= utf16_length(trimmed)
    once_more, again = normalise(trimmed, entities)
    assert once_more == trimmed
    assert len(again) <= len(entities)


@pytest.mark.parametrize(
    ("source", "text", "marks"),
    [
        ("<B>x</b >", "x", [("bold", 0, 1)]),
        ("<i>a<u>b</u></i>", "ab", [("italic", 0, 2), ("underline", 1, 1)]),
        ("😀<s>é</s>", "😀é", [("strikethrough", 2, 1)]),
        ("<tg-spoiler>x</tg-spoiler>", "x", [("spoiler", 0, 1)]),
        ('<span class="tg-spoiler">x</span>', "x", [("spoiler", 0, 1)]),
        ("<blockquote expandable>x</blockquote>", "x", [("expandable_blockquote", 0, 1)]),
        ("<b></b>", "", []),
        ("&lt;b&gt; &nbsp; &#x1F600; &quot &unknown;", '<b> &nbsp; 😀 " &unknown;', []),
        ('<a href="javascript://x">x</a>', "x", []),
        ("<a>http://1.2.3.4/x</a>", "http://1.2.3.4/x", [("text_link", 0, 16)]),
        ('<a href="tg://user?id=5">Ann</a>', "Ann", [("text_mention", 0, 3)]),
    ],
)
def test_tags_and_references(source: str, text: str, marks: list[tuple[str, int, int]]):
    parsed = parse_html(source)
    assert parsed.text == text
    assert [(each["type"], each["offset"], each["length"]) for each in parsed.entities] == marks


def test_a_block_of_code_has_its_language():
    both = ['<pre><code class="language-py">x</code></pre>', '<code class="language-py"><pre>x</pre></code>']
    assert [parse_html(source).entities for source in both] == 2 * [
        [{"type": "pre", "offset": 0, "length": 1, "language": "py"}]
    ]
    assert parse_html('<code class="language-py">x</code>').entities == [{"type": "code", "offset": 0, "length": 1}]


def test_code_holds_no_other_mark():
    parsed = parse_html("<b>a <code>x</code> b</b> <code>/start</code> /queues")
    text, entities = normalise(parsed.text, parsed.entities)
    assert [(each["type"], text[each["offset"] :][: each["length"]]) for each in entities] == [
        ("bold", "a "),
        ("code", "x"),
        ("bold", " b"),
        ("code", "/start"),
        ("bot_command", "/queues"),
    ]


def test_what_stands_beyond_the_hundredth_entity_is_plain():
    parsed = parse_html("<b>x</b> " * 150)
    assert len(normalise(parsed.text, parsed.entities)[1]) == 100


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(ApiError, match="Text contains invalid Unicode characters"):
        parse_html("&#xD83D;")
