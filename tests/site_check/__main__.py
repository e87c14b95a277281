"""Checks a built site: ``python -m tests.site_check FOLDER --browser PATH [PAGE ...]``."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, List

from playwright.sync_api import sync_playwright

from .links import broken_links, pages
from .looking import look_at, page_address
from .names import unlisted_names
from .searching import search


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Say nothing of each request."""


def check(site: Path, browser: str, url: str, chosen: List[str]) -> List[str]:
    """Return everything that is wrong with a site."""
    found = [*broken_links(site, url), *unlisted_names(site)]
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/"
    # The page for a wrong address is made for the address that the site is published at.
    addresses = [page_address(site, path) for path in pages(site)]
    wanted = {one.strip("/") for one in chosen}
    unknown = wanted - {one.strip("/") for one in addresses}
    found += [f"there is no page {one}" for one in sorted(unknown)]
    addresses = [one for one in addresses if not chosen or one.strip("/") in wanted]
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=arguments)
        found += look_at(opened, base, addresses)
        if not chosen:
            found += search(opened, base)
        opened.close()
    server.shutdown()
    print(f"looked at {len(addresses)} pages")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.site_check", description=__doc__)
    parser.add_argument("site", type=Path, help="the built site")
    parser.add_argument("pages", nargs="*", help="only these pages, such as how-to/errors")
    parser.add_argument("--browser", required=True, help="the path of a Chromium")
    parser.add_argument("--url", default="http://127.0.0.1:8000/", help="the site_url")
    options = parser.parse_args()
    found = check(options.site.resolve(), options.browser, options.url, options.pages)
    for fault in found:
        print(fault)
    print(f"{len(found)} faults")
    return min(len(found), 1)


if __name__ == "__main__":
    sys.exit(main())
