import jinja2
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from flexvolume_operator.render.yaml import encode, render_template, verbatim

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=10,
)


@given(VALUES)
@example("\U0001f600 \x7f \x85 \u2028 : # {{ }} \n- x")
@example({"yes": "no", "1": "0x1", "a: b": "~"})
def test_no_value_can_leave_its_place(value):
    text = jinja2.Environment(finalize=encode, autoescape=False).from_string(
        "before: 1\nvalue: {{ value }}\nafter: [{{ value }}]\n"
    )
    document = text.render(value=value)
    for loader in (yaml.SafeLoader, yaml.CSafeLoader):
        loaded = yaml.load(document, Loader=loader)
        assert loaded == {"before": 1, "value": value, "after": [value]}


def test_a_name_that_a_template_does_not_know_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        render_template("daemonset.yaml.j2", {})


def test_text_for_the_kubelet_is_not_expanded():
    assert verbatim("/a$(HOME)$$") == "/a$$(HOME)$$$$"
