from __future__ import annotations

import pytest

from ui.markup import Html, element, picture_address, together


def test_a_plain_string_is_text() -> None:
    assert element("p", "<b>&</b>") == "<p>&lt;b&gt;&amp;&lt;/b&gt;</p>"


def test_an_element_inside_an_element_is_not_escaped_again() -> None:
    assert element("p", "a ", element("b", "<")) == "<p>a <b>&lt;</b></p>"


def test_parts_are_escaped_one_by_one() -> None:
    assert together("<", element("hr"), ">") == "&lt;<hr>&gt;"
    assert isinstance(together(), Html)


def test_an_attribute_cannot_be_left_by_a_quote() -> None:
    assert element("p", title="\"' onload=x") == '<p title="&quot;&#x27; onload=x"></p>'


def test_an_absent_attribute_is_left_out_and_names_get_their_dashes() -> None:
    assert element("p", class_="a", aria_label="b", title=None) == '<p class="a" aria-label="b"></p>'


def test_an_attribute_that_runs_a_script_is_refused() -> None:
    with pytest.raises(ValueError, match="onclick would run a script"):
        element("p", onclick="x")


@pytest.mark.parametrize(
    "address", ["javascript:x", "//elsewhere/x", "/\\elsewhere", "https://elsewhere", "data:text/html,x"]
)
def test_an_address_outside_this_site_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="not a path of this site"):
        element("a", "x", href=address)


def test_a_path_and_a_picture_are_addresses() -> None:
    assert element("a", "x", href="/traces/1?a=1&b=2") == '<a href="/traces/1?a=1&amp;b=2">x</a>'
    assert element("img", src=picture_address(b"png")) == '<img src="data:image/png;base64,cG5n">'
