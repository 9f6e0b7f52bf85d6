"""The page as one text: nothing is loaded from anywhere."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

FOLDER = Path(__file__).parent
SHARED = ("page/encoding", "page/paper", "page/pens", "page/views", "page/page")
SERVED = (*SHARED, "page/served")  # the last of them begins


def page_of(about: dict[str, Any], scripts: Sequence[str] = SERVED, connect: str = "'self'") -> str:
    """HTML. about: what the scripts are to know of the network; connect: where the page may send requests to, in the
    words of a content security policy, which allows no script or style but these."""
    script = "\n".join(['"use strict";', *(text_of(f"{name}.js") for name in scripts)])
    style = text_of("page/page.css")
    return Template(text_of("page/page.html")).substitute(
        style=style, script=script, style_hash=hash_of(style), script_hash=hash_of(script), connect=connect,
        about=json.dumps(about, allow_nan=False).replace("<", "\\u003c"),
    )  # fmt: skip


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def hash_of(text: str) -> str:
    """Of an element's text, as a content security policy has it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
