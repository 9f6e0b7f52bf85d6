"""A Sphinx extension: docstrings are plain text, with a list of parameters under a heading or under none. Here they
become what numpydoc reads: each list gets its heading, what follows it is a note, and a star is a star."""

import re
from itertools import pairwise

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


def with_aliases(app, what, name, obj, options, signature, returns):
    """A signature whose types have their names, where Sphinx 9 writes what stands for them inside a union."""
    return tuple(text and re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text) for text in (signature, returns))


def setup(app):
    app.connect("autodoc-process-signature", with_aliases)
    app.connect("autodoc-process-docstring", process, priority=100)  # before numpydoc
    return {"parallel_read_safe": True}
