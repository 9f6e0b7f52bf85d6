"""A Sphinx extension: docstrings are plain text, with a list of parameters under a heading or under none. Here they
become what numpydoc reads: each list gets its heading, what follows it is a note, and a star is a star."""

import re
from dataclasses import is_dataclass
from itertools import pairwise

from sphinx.util import inspect

PARAMETER = re.compile(r"\*{0,2}\w+(, \*{0,2}\w+)* : ")
CODE = re.compile(r"(``.*?``|`.*?`)")
SPECIAL = re.compile(r"\*(?=[\w*])|(?<=\w)_(?!\w)")


def process(app, what, name, obj, options, lines):
    """Change the lines, as autodoc asks for."""
    lines[:] = [escaped(line) for line in with_headings(lines)]


def with_headings(lines):
    section, done = "", []
    for at, (line, below) in enumerate(pairwise([*lines, ""])):
        begins = line[:1].strip() and (at == 0 or not lines[at - 1])
        if line and set(below) == {"-"}:
            section = line
        elif section == "" and begins and PARAMETER.match(line):
            section = "Parameters"
            done += heading(section)
        elif section == "Parameters" and begins and not PARAMETER.match(line):
            section = "Notes"
            done += heading(section)
        if section == "Parameters" and line.startswith("    "):
            done[-1] += f" {line.strip()}"  # a sentence goes on
        else:
            done.append(line)
    return done


def heading(title):
    return [title, "-" * len(title)]


def escaped(line):
    """Stars and underscores that are not markup; code stays as it is."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    parts = CODE.split(line)
    parts[::2] = [SPECIAL.sub(r"\\\g<0>", text) for text in parts[::2]]
    return "".join(parts)


def signature(app, what, name, obj, options, written, returns):
    """A dataclass's is that of its fields. Types have their names where Sphinx 9 writes what stands for them."""
    if what == "class" and is_dataclass(obj):
        fields = inspect.signature(obj.__init__, bound_method=True, type_aliases=app.config.autodoc_type_aliases)
        written = inspect.stringify_signature(fields, show_return_annotation=False, unqualified_typehints=True)
    named = [text and re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text) for text in (written, returns)]
    return named[0] and named[0].replace("<factory>", "..."), named[1]


def setup(app):
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-process-docstring", process, priority=100)  # before numpydoc
    return {"parallel_read_safe": True}
