"""The program that gets killed: it opens a database, scans a folder and enriches its files.

Arguments: the database file, the folder. It says "enriching" when it has scanned, and "done" at the end.
"""

from __future__ import annotations

import sys

import anyio

from nomarr import Config, Nomarr


async def enrich(database: str, root: str) -> None:
    config = Config(database_url=f"sqlite:///{database}", settle_seconds=0, tag_workers=1, enrichment_workers=2)
    async with Nomarr.open(config) as nomarr:
        library = await nomarr.libraries.find_or_add_library(root)
        handle = await nomarr.libraries.start_scan_for_library(library.library_id)
        await handle.result()
        print("enriching", flush=True)
        await nomarr.enrichment.run()
        print("done", flush=True)


if __name__ == "__main__":
    anyio.run(enrich, *sys.argv[1:])
