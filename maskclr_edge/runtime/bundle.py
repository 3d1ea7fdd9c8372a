"""A bundle: a folder with a manifest and the artifacts it names, trusted only as far as its hashes go.

The manifest is written by ``maskclr_edge.deploy`` and read here. Reading needs neither onnx nor torch.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from maskclr_edge.checkpoint.config import ModelConfig
from maskclr_edge.errors import BundleError, ConfigError
from maskclr_edge.runtime.schema import Fields, is_word
from maskclr_edge.skeleton import SkeletonContract

MANIFEST = "manifest.json"
FORMAT = "maskclr-edge-bundle"
VERSION = 1
#: "importance" is an encoder that also gives the joint importance; no runner needs it to classify
ROLES = ("encoder", "head", "importance")
KINDS = ("onnx", "tensorrt", "tensorrt-rtx")
MAX_MANIFEST_BYTES = 4 << 20
MAX_ARTIFACTS = 1000
_CHUNK = 1 << 20
_MANIFEST_KEYS = (
    *("format", "version", "model", "contract", "checkpoint"),
    *("built_by", "created", "artifacts", "parity"),
)


@dataclass(frozen=True)
class Artifact:
    """One file of a bundle, as the manifest describes it.

    ``read_back``, ``shapes``, ``built_for`` and ``parity`` are informative; no runner depends on them.
    """

    file: str
    sha256: str
    bytes: int
    role: str
    kind: str
    precision: str
    runners: tuple[str, ...]
    read_back: Mapping[str, Any] = field(default_factory=dict)
    shapes: Mapping[str, Any] = field(default_factory=dict)
    built_for: Mapping[str, Any] | None = None
    parity: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Bundle:
    """A folder whose manifest was read and whose files were found; :meth:`open` makes one."""

    path: Path
    config: ModelConfig
    contract: SkeletonContract
    artifacts: tuple[Artifact, ...]
    checkpoint: Mapping[str, Any]
    built_by: Mapping[str, Any]
    created: str
    parity: Mapping[str, Any]

    @classmethod
    def open(cls, path: str | Path, *, verify: bool = True) -> "Bundle":
        """Read a manifest and check that every file it names is there, inside, and of the right size.

        ``verify`` also checks the SHA-256 of every file, at about a second for a gigabyte; without it each
        file is checked when :meth:`read` reads it. Raises BundleError, one line that names the file.
        """
        root = Path(path)
        bundle = _parse(root, _load_manifest(root))
        for artifact in bundle.artifacts:
            file = bundle.locate(artifact)
            size = file.stat().st_size
            if size != artifact.bytes:
                raise BundleError(_changed(file, f"is {size} bytes, the manifest says {artifact.bytes}"))
        if verify:
            bundle.verify()
        return bundle

    def select(self, runner: str, precision: str) -> dict[str, Artifact]:
        """Artifacts that ``runner`` takes for ``precision``, by role.

        Raises BundleError, naming what the bundle has, unless there are an encoder and a head.
        """
        found: dict[str, Artifact] = {}
        for artifact in self.artifacts:
            if runner in artifact.runners and artifact.precision == precision:
                found.setdefault(artifact.role, artifact)
        if "encoder" in found and "head" in found:
            return found
        have = "; ".join(f"{name}: {', '.join(self.precisions(name))}" for name in self.runners())
        asked = f"runner {runner} in {precision}"
        raise BundleError(f"{self.path}: has nothing for {asked}; it has {have or 'nothing'}")

    def precisions(self, runner: str) -> tuple[str, ...]:
        """Precisions in which there are an encoder and a head for ``runner``, in the manifest's order."""
        roles: dict[str, set[str]] = {}
        for artifact in self.artifacts:
            if runner in artifact.runners:
                roles.setdefault(artifact.precision, set()).add(artifact.role)
        return tuple(precision for precision, found in roles.items() if {"encoder", "head"} <= found)

    def runners(self) -> tuple[str, ...]:
        """Names of the runners that can run this bundle in some precision."""
        names = dict.fromkeys(name for artifact in self.artifacts for name in artifact.runners)
        return tuple(name for name in names if self.precisions(name))

    def locate(self, artifact: Artifact) -> Path:
        """Path of an artifact. Raises BundleError when it is missing or leaves the folder."""
        return _confine(self.path, artifact.file)

    def read(self, artifact: Artifact) -> bytes:
        """The artifact's content; the bytes that were hashed are the bytes given.

        Raises BundleError when they differ from the manifest's.
        """
        file = self.locate(artifact)
        try:
            with file.open("rb") as stream:
                data = stream.read(artifact.bytes + 1)
        except OSError as error:
            raise BundleError(f"{file}: cannot be read ({error.strerror or error})") from error
        if len(data) != artifact.bytes or hashlib.sha256(data).hexdigest() != artifact.sha256:
            raise BundleError(_changed(file, "does not have the manifest's SHA-256"))
        return data

    def verify(self) -> None:
        """Check the SHA-256 of every artifact. Raises BundleError for the first that differs."""
        for artifact in self.artifacts:
            file = self.locate(artifact)
            if hash_file(file) != artifact.sha256:
                raise BundleError(_changed(file, "does not have the manifest's SHA-256"))

    def unlisted(self) -> tuple[str, ...]:
        """Files in the folder that the manifest does not name, such as a model card. Nothing reads them."""
        known = {artifact.file for artifact in self.artifacts} | {MANIFEST}
        files = (file.relative_to(self.path).as_posix() for file in self.path.rglob("*") if file.is_file())
        return tuple(sorted(file for file in files if file not in known))


def hash_file(file: Path) -> str:
    """SHA-256 of a file in hexadecimal, read in pieces. Raises BundleError when it cannot be read."""
    digest = hashlib.sha256()
    try:
        with file.open("rb") as stream:
            while piece := stream.read(_CHUNK):
                digest.update(piece)
    except OSError as error:
        raise BundleError(f"{file}: cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()


def _load_manifest(root: Path) -> Mapping[str, Any]:
    file = root / MANIFEST
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or error
        raise BundleError(f"{root}: is not a bundle, {MANIFEST} cannot be read ({reason})") from error
    if len(data) > MAX_MANIFEST_BYTES:
        raise BundleError(f"{file}: is larger than {MAX_MANIFEST_BYTES >> 20} MiB, no manifest is")
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{file}: is not JSON ({str(error)[:100]})") from error
    if not isinstance(manifest, dict):
        raise BundleError(f"{file}: is a JSON {type(manifest).__name__}, an object was expected")
    if manifest.get("format") != FORMAT:
        raise BundleError(f"{file}: format is {manifest.get('format')!r:.60}, expected {FORMAT!r}")
    version = manifest.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise BundleError(f"{file}: version is {version!r:.60}, a whole number from 1 was expected")
    if version > VERSION:
        raise BundleError(
            f"{file}: bundle version {version} is newer than the {VERSION} that this maskclr-edge reads; "
            "upgrade it: pip install -U maskclr-edge"
        )
    return manifest


def _parse(root: Path, manifest: Mapping[str, Any]) -> Bundle:
    top = Fields(root / MANIFEST, manifest)
    top.known(*_MANIFEST_KEYS)
    try:
        config = ModelConfig.from_dict(top.mapping("model"))
        contract = SkeletonContract.from_dict(top.mapping("contract"))
    except ConfigError as error:
        raise BundleError(f"{root / MANIFEST}: {error}") from error
    names = len(contract.class_names)
    if config.head == "class" and names != config.num_classes:
        raise BundleError(f"{root / MANIFEST}: names {names} classes, its model has {config.num_classes}")
    frames = max(contract.frames, contract.max_frames)
    if frames > config.maxlen:
        raise BundleError(f"{root / MANIFEST}: allows {frames} frames, its model {config.maxlen}")
    items = top.items("artifacts")
    if not 1 <= len(items) <= MAX_ARTIFACTS:
        raise BundleError(f"{root / MANIFEST}: names {len(items)} artifacts, expected 1 to {MAX_ARTIFACTS}")
    return Bundle(
        path=root,
        config=config,
        contract=contract,
        artifacts=_artifacts(root, items),
        checkpoint=top.mapping("checkpoint"),
        built_by=top.mapping("built_by"),
        created=top.text("created"),
        parity=top.mapping("parity", optional=True) or {},
    )


def _artifacts(root: Path, items: Sequence[Any]) -> tuple[Artifact, ...]:
    artifacts: list[Artifact] = []
    by_file: dict[str, Artifact] = {}
    for index, item in enumerate(items):
        artifact = _artifact(Fields(root / MANIFEST, item, f"artifacts[{index}]"))
        twin = by_file.setdefault(artifact.file, artifact)  # int8 may share the fp32 head's file
        if (twin.sha256, twin.bytes) != (artifact.sha256, artifact.bytes):
            raise BundleError(f"{root / MANIFEST}: names {artifact.file} twice, with different content")
        artifacts.append(artifact)
    return tuple(artifacts)


def _artifact(fields: Fields) -> Artifact:
    fields.known(*(field.name for field in dataclasses.fields(Artifact)))
    sha256 = fields.text("sha256")
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        fields.refuse("sha256", "64 hexadecimal digits in lower case")
    runners = fields.items("runners")
    if not all(is_word(name) for name in runners):
        fields.refuse("runners", "a list of names")
    return Artifact(
        file=fields.text("file"),
        sha256=sha256,
        bytes=fields.count("bytes"),
        role=fields.choice("role", ROLES),
        kind=fields.choice("kind", KINDS),
        precision=fields.word("precision"),
        runners=tuple(runners),
        read_back=fields.mapping("read_back", optional=True) or {},
        shapes=fields.mapping("shapes", optional=True) or {},
        built_for=fields.mapping("built_for", optional=True),
        parity=fields.mapping("parity", optional=True),
    )


def _confine(root: Path, name: str) -> Path:
    """Path of ``name`` inside ``root``: relative, no way up, no link that leads out, and a file."""
    parts = PurePosixPath(name)
    # a backslash or a colon is a path of its own on Windows
    if parts.is_absolute() or ".." in parts.parts or re.search(r"[\\:\x00-\x1f]", name) or name in ("", "."):
        raise BundleError(f"{root}: names the file {name[:200]!r}; expected a plain name inside the bundle")
    file = root / parts
    try:
        real = file.resolve(strict=True)
        inside = real.is_relative_to(root.resolve(strict=True))
    except (OSError, RuntimeError) as error:
        raise BundleError(f"{file}: is missing from the bundle; copy or export it again") from error
    if not inside:
        raise BundleError(f"{file}: is a link that leads out of the bundle; copy the file into it")
    if not real.is_file():
        raise BundleError(f"{file}: is not a file; copy or export the bundle again")
    return file


def _changed(file: Path, how: str) -> str:
    return f"{file}: {how}: it was changed or cut short; copy or export the bundle again"
