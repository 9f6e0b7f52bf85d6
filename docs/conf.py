"""The site: `sphinx-build -W -n -b html docs docs/_build/html`. Its pages in docs/gallery are programs, run by that."""

import sys
from pathlib import Path

import pymnistcnn

sys.path.insert(0, str(Path(__file__).parent))  # what is this site's own: repository_links, drawings

project = "pymnistcnn"
author = copyright = "The pymnistcnn authors"
release = version = pymnistcnn.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_gallery.gen_gallery",
    "repository_links",
    "running",
    "docstrings",
    "drawings",
]
exclude_patterns = ["_build", "gallery"]
default_role = "literal"  # docstrings have `code` so
highlight_language = "none"  # an indented block is what one types at a shell, unless it says what it is

# ---- Markdown ----
myst_heading_anchors = 3

# ---- pages that run: an error in one of them ends the build ----
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "pages",
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"__init__\.py",
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_",),
    "notebook_extensions": (),
    "image_scrapers": ("site_pictures.svg_scraper",),
    "reset_modules": ("site_pictures.reset",),
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "write_computation_times": False,
    "within_subsection_order": "FileNameSortKey",
}

# ---- the reference ----
autodoc_mock_imports = ["torch"]  # large, and only its names are needed
autodoc_member_order = "bysource"
autodoc_type_aliases = {name: name for name in ("Array", "ArrayLike", "DTypeLike", "Picture", "Shape", "StrPath")}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 90
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
toc_object_entries_show_parents = "hide"
nitpick_ignore_regex = [  # what other packages' documentation has
    (r"py:.*", r"(numpy|PIL|torch|onnx|matplotlib|collections|os|io|pathlib|logging)\..*"),
    (r"py:class", r"pymnistcnn\.optimizers\.State"),  # what an optimizer keeps for itself
    (r"py:class", r"Axes|Of|Data|np\..*|npt\..*"),  # as other packages are called here; names for what plots take
]

# ---- how it looks ----
html_theme = "furo"
html_title = "pymnistcnn"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}
