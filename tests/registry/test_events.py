"""Run-time hooks: which implementations are found, in which order, and what an error in one says."""

import pytest

import v2skit
from tests.registry.installed import installed
from v2skit.errors import UserError
from v2skit.registry import plugins
from v2skit.registry.events import implementations, report_sections


def reporting(text, **order):
    class Reporting:
        @v2skit.hookimpl(**order)
        def report_section(self, exp):
            if isinstance(text, Exception):
                raise text
            return text

    return Reporting()


def test_implementations_come_in_the_order_of_registration(tmp_path):
    last, first = reporting("last\n", trylast=True), reporting("first", tryfirst=True)
    with installed(a=last, b=reporting("b"), c=reporting("c\n\n"), d=first):
        assert [found.plugin for found in implementations("report_section")] == ["d", "b", "c", "a"]
        assert report_sections(tmp_path) == ["first", "b", "c", "last"]
    assert implementations("report_section") == [] == report_sections(tmp_path)


def test_a_module_with_two_entry_points_is_called_once(tmp_path):
    module = reporting("once")
    with installed(one=module, two=module):
        assert report_sections(tmp_path) == ["once"]


def test_a_section_that_fails_is_named_in_the_report(tmp_path):
    with installed(
        nothing=reporting(None), wrong=reporting(7), broken=reporting(OSError("no file")), good=reporting("x")
    ):
        wrong, broken, good = report_sections(tmp_path)
    remedy = "; correct or uninstall the plug-in."
    assert wrong == f"## Plug-in 'wrong'\n\nhook report_section of plug-in 'wrong' returned int, not text{remedy}"
    assert broken.endswith(f"hook report_section of plug-in 'broken' failed: OSError: no file{remedy}") and good == "x"


@pytest.mark.parametrize("mark", ["wrapper", "hookwrapper"])
def test_a_wrapper_makes_its_plugin_a_broken_one(mark):
    class Wrapping:
        @v2skit.hookimpl(**{mark: True})
        def report_section(self, exp):
            yield

    message = "hook report_section of plug-in 'wrapping' is a wrapper; make it a plain function"
    with pytest.raises(UserError, match=message), installed(wrapping=Wrapping()):
        pass


def test_a_hook_with_an_unknown_argument_makes_its_plugin_a_broken_one():
    class Wrong:
        @v2skit.hookimpl
        def validated(self, run, epoch):
            pass

    with pytest.raises(Exception, match="epoch"):
        plugins._hooks(Wrong(), "wrong")
