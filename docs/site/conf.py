"""Sphinx' settings of the documentation site; tools/docs.sh builds it.

The source folder is the root of the checkout, so that links between the pages of docs/, the READMEs of recipes and
plug-ins and CHANGELOG.md are the same ones here as where the files are read as text.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import reference
from docutils import nodes

from v2skit.version import __version__

project = "v2skit"
author = "the authors of v2skit"
copyright = "the authors of v2skit, Apache-2.0"
version = release = __version__

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc = "docs/index"
include_patterns = [
    "docs/*.md",
    "docs/reference/**.rst",
    "docs/notebooks/*.ipynb",
    "egs/*/*.md",
    "plugins/*/README.md",
    "*.md",
]
exclude_patterns = [
    "README.md", "v2skit", "tests", "tools", "build", "dist", ".*", "docs/site", "egs/*/data*", "egs/*/exp",
    "egs/*/corpus", "plugins/*/*/",
]  # fmt: skip

# Markdown as on GitHub. Commands are the indented blocks.
myst_heading_anchors = 4
smartquotes = False  # -- is of an option
highlight_language = "bash"
suppress_warnings = ["misc.highlighting_failure"]  # an indented block of output is no shell
nb_execution_mode = "off"  # tests/test_notebooks.py executes them

# Google's docstrings. Signatures have the short names of types.
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_type_aliases = {name: f"v2skit.config.limits.{name}" for name in reference.LIMITS}
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_preprocess_types = False

html_theme = "furo"
html_title = f"v2skit {release}"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_extra_path = ["root"]  # index.html, which leads to docs/index.html
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
copybutton_selector = "div.highlight-bash pre, div.highlight-python pre, div.highlight-yaml pre"
pygments_style, pygments_dark_style = "friendly", "github-dark"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6e6e", "color-brand-content": "#0b6e6e"},
    "dark_css_variables": {"color-brand-primary": "#4fc9b9", "color-brand-content": "#4fc9b9"},
}


def setup(app):
    """Write the pages of the reference, which docs/reference.md lists, before the sources are read."""
    reference.write(Path(app.srcdir) / "docs/reference")
    app.connect("doctree-resolved", set_dashes)


def set_dashes(app, tree, name):
    """Dashes between arguments and their descriptions, which Sphinx leaves to smart quotes."""
    for text in [node for node in tree.findall(nodes.Text) if node == " -- "]:
        text.parent.replace(text, nodes.Text(" – "))
