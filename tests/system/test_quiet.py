"""Nothing is shown within, all is shown after it, also after an error."""

import logging
import sys
import warnings

import pytest

from v2skit.system.quiet import quiet


def speak():
    logging.getLogger("test").error("a record")
    print("a line", file=sys.stderr)
    warnings.warn("a warning", UserWarning, stacklevel=1)


def test_nothing_is_shown_within(capsys, caplog, recwarn):
    with pytest.raises(ValueError), quiet():
        speak()
        raise ValueError
    assert capsys.readouterr().err == "" and not caplog.records and not recwarn.list
    speak()
    assert "a line" in capsys.readouterr().err and len(caplog.records) == len(recwarn.list) == 1
