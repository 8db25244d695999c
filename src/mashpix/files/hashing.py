"""Hashes of files and folders, as recorded in recipes and manifests."""

import hashlib
from pathlib import Path

from mashpix.files.folder import walk_files


def hash_file(path: Path) -> str:
    """Hash a file, like `sha256` of its bytes, without loading it into memory.

    For a folder, hash the sorted list of its files, with one line `<hash>  <path>` each, as `sha256sum` writes it.
    """
    if path.is_dir():
        names = sorted(name.as_posix() for name in walk_files(path))
        return sha256(
            "".join(f"{hash_file(path / name)}  {name}\n" for name in names).encode("utf-8", "surrogateescape")
        )
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256(data: bytes) -> str:
    """Hash the bytes of a file."""
    return hashlib.sha256(data).hexdigest()
