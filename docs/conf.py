"""How `make docs` builds the pages under docs/; a warning, such as a broken link, fails."""

from __future__ import annotations

from snapq import __version__

project = "snapq"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
html_theme = "furo"
html_title = f"snapq {release}"
myst_heading_anchors = 3
myst_enable_extensions = ["attrs_inline"]
add_module_names = False
autodoc_member_order = "groupwise"
default_role = "code"
