"""A bundle in the making: written beside its place and moved there when it is whole."""

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from maskclr_edge.errors import ConfigError, ExportError
from maskclr_edge.runtime.bundle import MANIFEST, Bundle, hash_file


class BundleFolder:
    """Context manager around the writing of a bundle to ``out``.

    Files go into a temporary sibling; ``finish`` writes the manifest, flushes everything to disk and puts the
    folder in the place of ``out``. Left without ``finish``, by an error or Ctrl-C, it removes the
    sibling: the old bundle stays, or none. Raises ConfigError when ``out`` is something that an export must
    not replace, and ExportError when the disk fails.
    """

    def __init__(self, out: str | Path) -> None:
        self.out = Path(os.path.abspath(out))  # noqa: PTH100 (resolve() would follow a link at out)
        if self.out.is_symlink() or (self.out.exists() and not self.out.is_dir()):
            raise ConfigError(
                f"{out} is a file or a link; give a folder for the bundle, new or an old bundle"
            )
        if self.out.is_dir() and any(self.out.iterdir()) and not (self.out / MANIFEST).is_file():
            raise ConfigError(f"{out} holds other files and no bundle; give an empty or a new folder")
        self._temporary: Path | None = None

    def __enter__(self) -> "BundleFolder":
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            name = tempfile.mkdtemp(prefix=f".{self.out.name}.", suffix=".partial", dir=self.out.parent)
        except OSError as error:
            raise self._failed(error) from error
        self._temporary = Path(name)
        self._temporary.chmod(0o755)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise self._failed(error) from error

    def path(self, name: str) -> Path:
        """Where a file of the bundle lies while it is made."""
        assert self._temporary is not None
        return self._temporary / name

    def write(self, name: str, data: bytes) -> dict[str, Any]:
        """Write a file; returns the manifest's ``file``, ``sha256`` and ``bytes``."""
        with self.path(name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return {"file": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}

    def copy(self, source: Path, name: str) -> dict[str, Any]:
        """Copy a file in; returns the same as ``write``."""
        target = self.path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        with target.open("rb") as file:
            os.fsync(file.fileno())
        return {"file": name, "sha256": hash_file(target), "bytes": target.stat().st_size}

    def finish(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest and put the folder in its place."""
        text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        self.write(MANIFEST, text.encode())
        assert self._temporary is not None
        Bundle.open(self._temporary, verify=False)  # whoever reads it will ask the same
        _sync_folder(self._temporary)
        if self.out.exists():
            # two renames, because one cannot replace a folder that has files: between them there is no bundle
            old = Path(tempfile.mkdtemp(prefix=f".{self.out.name}.", suffix=".old", dir=self.out.parent))
            self.out.rename(old / "bundle")
            try:
                self._temporary.rename(self.out)
            except BaseException:
                (old / "bundle").rename(self.out)
                raise
            finally:
                if self.out.exists():
                    shutil.rmtree(old, ignore_errors=True)
        else:
            self._temporary.rename(self.out)
        self._temporary = None
        with contextlib.suppress(OSError):
            _sync_folder(self.out.parent)

    def _failed(self, error: OSError) -> ExportError:
        return ExportError(f"cannot write {self.out}: {error.strerror or error}; nothing was changed")


def _sync_folder(folder: Path) -> None:
    """Flush a folder's names to disk, where the system can."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
