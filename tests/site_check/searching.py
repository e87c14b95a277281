"""Searches the site for the words that new users type."""

from __future__ import annotations

from typing import Dict, Iterator, Tuple
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Error

__all__ = ["search"]

#: A word, and the pages of which one must be among the first three that are found.
EXPECTED: Dict[str, Tuple[str, ...]] = {
    "idempotent": ("how-to/submit-once/",),
    "unique": ("how-to/submit-once/",),
    "duplicate": ("how-to/submit-once/",),
    "cron": ("how-to/schedule/",),
    "cancel": ("how-to/cancel-or-reschedule/",),
    "retry": ("how-to/retries/",),
    "ttl": ("how-to/results/",),
    "timezone": ("how-to/schedule/",),
    "logging": ("how-to/logging/",),
    "sync": ("how-to/blocking/",),
    "Flask": ("how-to/",),
    "docker": ("tutorial/", "how-to/install/", "how-to/deployment/"),
    "gevent": ("how-to/",),
    "Decimal": ("how-to/payloads/",),
    "worker": ("how-to/", "tutorial/"),
    "schedule": ("how-to/schedule/",),
    "dead letter": ("how-to/empty-the-dead-letters/",),
    "expire": ("how-to/results/",),
    "timeout": ("how-to/errors/",),
    "testing": ("how-to/testing-your-code/",),
    "priority": ("cookbook/priorities/",),
    "NOAUTH": ("how-to/troubleshooting/",),
    "enqueue": ("how-to/", "tutorial/", "coming-from/"),
}
_RESULTS = ".md-search-result__item > a"
_FIRST = 3
#: Pages that list names, which nobody is to find before a page that says how to do it.
_LISTS = ("reference/api/", "changelog/")


def search(browser: Browser, base: str) -> Iterator[str]:
    """Give each word that does not find what it should."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(60_000)
    for word, expected in EXPECTED.items():
        page.goto(base)
        page.locator(".md-search__input").fill(word)
        try:
            page.wait_for_selector(_RESULTS, state="attached")
        except Error:
            yield f"searching for {word!r} finds nothing"
            continue
        links = page.locator(_RESULTS).all()
        paths = [urlsplit(str(link.get_attribute("href"))).path.lstrip("/") for link in links]
        found = list(dict.fromkeys(paths))[:_FIRST]
        if not any(one.startswith(expected) for one in found):
            yield f"searching for {word!r} finds {', '.join(found)} before {expected[0]}"
        elif found[0].startswith(_LISTS):
            yield f"searching for {word!r} finds {found[0]} first"
    page.close()
