"""Finds links, anchors and pictures of the built pages that lead nowhere."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Set, Tuple
from urllib.parse import unquote, urlsplit

__all__ = ["broken_links", "pages"]

_ADDRESSES = {"a": "href", "img": "src", "link": "href", "script": "src", "source": "src"}
Attributes = List[Tuple[str, Optional[str]]]


class _Page(HTMLParser):
    """The places in a page that a link can lead to, and the addresses that it names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: Set[str] = {""}
        self.addresses: Set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        found = dict(attrs)
        self.places.update(name for name in (found.get("id"), found.get("name")) if name)
        address = found.get(_ADDRESSES.get(tag, ""))
        if address and found.get("rel") != "canonical":
            self.addresses.add(address)


def pages(site: Path) -> List[Path]:
    """Return every page of a site."""
    return sorted(site.rglob("*.html"))


def broken_links(site: Path, base: str) -> Iterator[str]:
    """Give each link that leads nowhere, and each file that is fetched from elsewhere."""
    read: Dict[Path, _Page] = {
        path: _Page(path.read_text(encoding="utf-8")) for path in pages(site)
    }
    for path, page in read.items():
        for address in sorted(page.addresses):
            if address.startswith(base):
                address = "/" + address[len(base) :]
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue  # another site; the browser reports what is fetched from there
            target = path.parent if not parts.path.startswith("/") else site
            target = (target / unquote(parts.path).lstrip("/")).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_file():
                yield f"{path.relative_to(site)}: {address} leads nowhere"
            elif target in read and unquote(parts.fragment) not in read[target].places:
                yield f"{path.relative_to(site)}: {address} names no place of its page"
