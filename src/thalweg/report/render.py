"""Rendering of templates to pages: one file each that needs no network."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

from thalweg import __version__
from thalweg.files.writing import write_text
from thalweg.plots.style import DARK_MAP, LIGHT_MAP


def render_page(template: str, context: dict[str, Any]) -> str:
    """Return the page as text."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("thalweg", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    common = {
        "light_map": ", ".join(LIGHT_MAP),
        "dark_map": ", ".join(DARK_MAP),
        "version": __version__,
        "today": _today(),
    }
    return environment.get_template(template).render(**common, **context).strip() + "\n"


def write_page(path: Path, text: str) -> Path:
    """Write a page in one piece; `ValueError` in one sentence where it cannot be written."""
    try:
        write_text(path, text)
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def _today() -> str:
    """Return today, or the date of SOURCE_DATE_EPOCH for repeatable builds."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.datetime.now(datetime.UTC)
    if epoch.isdigit():
        now = datetime.datetime.fromtimestamp(int(epoch), datetime.UTC)
    return f"{now.day} {now:%B %Y}"
