"""Engine files of the rig: a header and an ONNX model, refused in TensorRT's own words."""

import json
from typing import Any

#: the first four bytes tell TensorRT's files from others', the rest are the rig's
MAGIC = {"tensorrt": b"ftrtRIG1", "tensorrt-rtx": b"vtrtRIG1"}


class Refused(Exception):
    """An engine that TensorRT does not load; its text is what TensorRT says."""


def engine_bytes(flavour: str, onnx: bytes, profiles: list[Any], **header: Any) -> bytes:
    """An engine of an ONNX model; profiles: (least, best, most) shapes of its input."""
    text = json.dumps({"profiles": profiles, "memory": 4096} | header).encode()
    body = len(text).to_bytes(4, "little") + text + onnx
    return MAGIC[flavour] + len(body).to_bytes(8, "little") + body


def read_engine(data: bytes, flavour: str, version: str, sm: str, host_code: bool) -> tuple[Any, bytes]:
    """Header and ONNX model of an engine, for a library of some version on a GPU. Raises Refused."""
    if data[:8] != MAGIC[flavour]:
        raise Refused("Serialization assertion header.magicTag == kEXPECTED_MAGIC_TAG failed.")
    body = data[16:]
    if len(body) != int.from_bytes(data[8:16], "little"):
        raise Refused("Serialization assertion plan.header.size == blobSize failed.")
    size = int.from_bytes(body[:4], "little")
    header = json.loads(body[4 : 4 + size])
    if header.get("host_code") and not host_code:
        raise Refused(
            "Cannot deserialize engine with lean runtime since IRuntime::getEngineHostCodeAllowed() is false."
        )
    if header.get("version", version) != version:
        raise Refused(
            "The engine plan file is not compatible with this version of TensorRT, expecting library "
            f"version {version} got {header['version']}, please rebuild."
        )
    if header.get("compute", sm) != sm:
        raise Refused(
            f"The engine plan file is generated on an incompatible device, expecting compute {sm} got "
            f"compute {header['compute']}, please rebuild."
        )
    return header, body[4 + size :]
