"""A report of a network, and of its training: one HTML file that needs nothing else, no script and no network.

run.py       what a report is about
page.py      its sections, in page.html
tables.py    confusion matrix, scores of the classes, facts
drawing.py   curves, as SVG that takes the page's colours
facts.py     this machine and these versions
stored.py    the history that a network's file may have
"""

from ..extras import needed

needed("matplotlib", "plots")

from .page import write  # noqa: E402
from .run import Run  # noqa: E402

__all__ = ["Run", "write"]
