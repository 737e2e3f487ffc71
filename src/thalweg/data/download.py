"""Downloads of files from public mirrors."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

ATTEMPTS = 3
TIMEOUT = 30.0  # seconds without an answer
PAUSE = 2.0  # seconds before the second attempt, twice as long before the third


def fetch(urls: Sequence[str], folder: Path) -> Path:
    """Download a file from the first mirror that gives it, into a folder.

    Every mirror is tried `ATTEMPTS` times. Incomplete files are removed.
    Raises `ConnectionError` in one sentence where no mirror gives it.
    """
    import pooch
    import requests

    said = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        for url in urls:
            loader = pooch.HTTPDownloader(progressbar=False, timeout=TIMEOUT)
            name = url.rsplit("/", 1)[1]
            pooch.get_logger().setLevel("ERROR")  # the contents are checked here
            try:
                return Path(pooch.retrieve(url, None, name, folder, downloader=loader))
            except (requests.RequestException, ValueError, OSError) as error:
                said = type(error).__name__
    raise ConnectionError(f"{urls[0]} cannot be downloaded ({said}): is there a network?")
