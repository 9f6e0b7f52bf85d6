"""What pages that run draw with: figures that can be read on light and on dark, as SVG."""

import matplotlib
from sphinx_gallery.scrapers import matplotlib_scraper

INK = "#7d8590"  # between a white and a black page: it can be read on both


def reset(gallery, where):
    """Before each page: matplotlib as it is to look."""
    matplotlib.rcdefaults()
    matplotlib.rcParams.update(
        {
            "figure.figsize": (7, 3),
            "figure.constrained_layout.use": True,
            "savefig.transparent": True,
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": matplotlib.cycler(color=["#2f81f7", "#e36209", "#2da44e", "#bf4b8a"]),
            "image.cmap": "gray",
            "image.interpolation": "nearest",
            "lines.linewidth": 2,
            "legend.frameon": False,
            **dict.fromkeys(
                ["text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color"],
                INK,
            ),
        }
    )


def svg_scraper(block, block_vars, gallery_conf):
    return matplotlib_scraper(block, block_vars, gallery_conf, format="svg", bbox_inches="tight")
