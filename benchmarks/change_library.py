# mypy: disable-error-code="no-untyped-call"
"""Change some per cent of a benchmark library: the same seed changes the same files.

Only libraries with the marker of make_library.py are changed.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import mutagen
from make_library import AUDIO_SUFFIXES, LibraryError, read_marker

SETTLED_SECONDS = 3.0


def audio_files(library: Path) -> list[str]:
    """Paths of all audio files relative to the library, in an order that depends on nothing but the names."""
    found = []
    root = str(library)
    for folder, _, names in os.walk(root):
        relative = os.path.relpath(folder, root)
        found += [os.path.normpath(os.path.join(relative, name)) for name in names if name.endswith(AUDIO_SUFFIXES)]
    return sorted(found, key=os.fsencode)


def chosen_files(library: Path, percent: float, seed: int) -> list[str]:
    """Some per cent of the audio files, at least one."""
    read_marker(library)
    files = audio_files(library)
    return random.Random(seed).sample(files, max(1, round(len(files) * percent / 100)))


def touch(library: Path, percent: float, seed: int) -> list[str]:
    """Give files a new modification time and nothing else."""
    chosen = chosen_files(library, percent, seed)
    for path in chosen:
        os.utime(library / path)
    return chosen


def retag(library: Path, percent: float, seed: int, take: str = "") -> list[str]:
    """Give files another title, which ends with "(take …)"; the seed is the take when none is named."""
    chosen = chosen_files(library, percent, seed)
    retag_files(library, chosen, take or str(seed))
    return chosen


def retag_files(library: Path, paths: Iterable[str], take: str) -> None:
    for path in paths:
        file = mutagen.File(library / path, easy=True)
        title = file["title"][0].partition(" (take ")[0]
        file["title"] = [f"{title} (take {take})"]
        file.save()


def move(library: Path, percent: float, seed: int) -> list[tuple[str, str]]:
    """Move files to other folders that hold audio already; pairs of old and new path."""
    rng = random.Random(seed)
    folders = sorted({os.path.dirname(path) for path in audio_files(library)}, key=os.fsencode)
    moves = []
    for old in chosen_files(library, percent, seed):
        free = [folder for folder in rng.sample(folders, min(8, len(folders))) if _is_free(library, folder, old)]
        if free:
            new = os.path.join(free[0], os.path.basename(old))
            os.rename(library / old, library / new)
            moves.append((old, new))
    return moves


def _is_free(library: Path, folder: str, old: str) -> bool:
    return not os.path.lexists(library / folder / os.path.basename(old))


def wait_until_settled(library: Path, paths: Iterable[str], seconds: float = SETTLED_SECONDS) -> None:
    """Return when the last change of these files is more than `seconds` ago."""
    changed_at = max((_changed_at(library / path) for path in paths), default=0.0)
    time.sleep(max(0.0, changed_at + seconds + 0.1 - time.time()))


def _changed_at(path: Path) -> float:
    status = path.stat()
    return max(status.st_mtime, status.st_ctime)


_CHANGES: dict[str, Callable[[Path, float, int], Sequence[object]]] = {"touch": touch, "retag": retag, "move": move}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Change some per cent of a library of make_library.py.")
    parser.add_argument("change", choices=sorted(_CHANGES))
    parser.add_argument("library", type=Path, metavar="LIBRARY")
    parser.add_argument("--percent", type=float, default=1.0, help="of the audio files, at least one (default 1)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other files (default 1)")
    options = parser.parse_args(arguments)
    try:
        changed = _CHANGES[options.change](options.library, options.percent, options.seed)
    except LibraryError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.change}: {len(changed)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main())
