"""Figures as inline SVG that follows the theme of the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from thalweg.plots.style import DARK_MAP, LIGHT_MAP, Palette

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Figures are drawn in colours that stand for variables of the page's style sheet.
_VARIABLES = {
    "ink": "#0a0001",
    "muted": "#0a0002",
    "grid": "#0a0003",
    "panel": "#0a0004",
    "flow": "#0a0005",
    "other": "#0a0006",
    "faint": "#0a0007",
}
PAGE = Palette(
    **_VARIABLES,
    maps=(("only-light", LIGHT_MAP), ("only-dark", DARK_MAP)),
    interpolation="none",
)
_SETTINGS: Any = {
    "svg.fonttype": "none",  # text stays text: readable, searchable, in the page's font
    "font.size": 11.0,
    "legend.fontsize": 11.0,
    "axes.labelsize": 11.0,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "axes.unicode_minus": True,
}


@contextmanager
def page_settings() -> Iterator[None]:
    """Make figures with matplotlib's defaults, not with the user's settings."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # Names in scripts that the measuring font lacks; the browser has them.
        warnings.filterwarnings("ignore", message=r".*[Gg]lyph.*missing")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def to_svg(figure: Figure, name: str, description: str) -> Markup:
    """Return the figure as an `<svg>` element to be placed in a page.

    `name` keeps its ids apart from those of other figures; screen readers read
    `description` in place of the picture.
    """
    import matplotlib

    buffer = io.StringIO()
    with page_settings(), matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)  # it would hold page-wide
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = _use_variables(_prefix_ids(text, name))
    box = re.search(r'viewBox="([^"]*)"', text)
    view = "0 0 100 100" if box is None else box.group(1)
    style, spoken = f"--width: {view.split()[2]}", escape(description)
    opening = f'<svg viewBox="{view}" style="{style}" role="img" aria-label="{spoken}">'
    text = re.sub(r"^<svg[^>]*>", lambda _: opening, text)
    return Markup(re.sub(r"\n\s*", "\n", text))


def _prefix_ids(text: str, name: str) -> str:
    """Prefix ids that are referred to by the figure's name; remove the others."""
    used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', text))

    def rename(match: re.Match[str]) -> str:
        if match[1] in ("only-light", "only-dark"):
            return f' class="{match[1]}"'
        return f' id="{name}-{match[1]}"' if match[1] in used else ""

    text = re.sub(r' id="([^"]*)"', rename, text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', text)
    return text.replace("xlink:href=", "href=")


def _use_variables(text: str) -> str:
    for part, colour in _VARIABLES.items():
        text = text.replace(colour, f"var(--fig-{part})")
    # The font of the page, and smooth enlargement of images.
    text = re.sub(r"font-family: [^;\"]*;?", "", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    text = text.replace("image-rendering:crisp-edges;image-rendering:pixelated", "")
    return text
