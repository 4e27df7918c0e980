"""The few files that pages need beside themselves, under names that change with their content."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "assets"
PREFIX = "/assets/"
_TYPES = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is sent."""

    path: str
    content_type: bytes
    body: bytes
    gzipped: bytes


@cache
def assets() -> Mapping[str, Asset]:
    """All assets, by the name of their file."""
    return {file.name: _asset(file) for file in sorted(FOLDER.iterdir()) if file.suffix in _TYPES}


def asset_at(path: str) -> Asset | None:
    """The asset that is served under a path."""
    return next((asset for asset in assets().values() if asset.path == path), None)


def asset_path(name: str) -> str:
    """Where a file is served, such as `/assets/app.0a1b2c3d4e.css`."""
    return assets()[name].path


def _asset(file: Path) -> Asset:
    body = file.read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:10]
    zipped = gzip.compress(body, 9, mtime=0)
    return Asset(f"{PREFIX}{file.stem}.{digest}{file.suffix}", _TYPES[file.suffix], body, zipped)
