"""A page to draw on, which shows what a network makes of it: `pymnistcnn draw` and `pymnistcnn export --html`.

    page.py      the page as one text, of the files in the folder `page` and those of one of two doors
    server.py    the first door: the page asks a server on this machine
    looking.py   what that answers: what the network sees, says, computes, and was trained on that is alike
    stages.py    what each layer computes
    nearest.py   the nearest training pictures
    saving.py    what was drawn, in a folder to train on
    offline.py   the second door: the network is in the page, which computes by itself what the others compute here

The JavaScript in the folder `offline` has the names of the Python files whose work it does.
"""

from __future__ import annotations

__all__: list[str] = []
