"""RTMPose from an ONNX file of the user's: one person a box, joints read off two axes (SimCC).

Source of the form: MMPose's RTMPose (Jiang et al., 2023) as its exports and rtmlib have it: input (N, 3, H,
W), RGB by ImageNet's mean and deviation, the box with a quarter of room; outputs ``simcc_x`` (N, K, 2 W) and
``simcc_y`` (N, K, 2 H). Boxes of known people come from their last skeletons; new ones are found by
mediapipe's detector where it is installed, and else in the whole picture, which shows one person.
"""

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from maskclr_edge.errors import ConfigError, EngineError, SourceError
from maskclr_edge.live.geometry import Array, box_of, confidence_of, overlap, without_doubles
from maskclr_edge.live.search import Search
from maskclr_edge.optional import available, require
from maskclr_edge.runtime.ort import set_waiting

#: joints in the file -> their order
_LAYOUTS = {17: "coco17", 26: "halpe26"}
_MEAN = np.array([123.675, 116.28, 103.53], np.float32)
_DEVIATION = np.array([58.395, 57.12, 57.375], np.float32)
_PADDING = 1.25
#: a person of less mean confidence is nobody
_CLEAR = 0.3
_SMALLEST = 8
#: of two boxes that overlap by more, both are of one person
_SAME_BOX = 0.35
MAX_BYTES = 1 << 30


class RtmPose:
    """Up to ``max_people`` people; ``layout`` is coco17 or halpe26, by the joints of the file."""

    name = "rtmpose"

    def __init__(self, path: str | Path, max_people: int = 8) -> None:
        self.max_people = max_people
        self._session = _open(Path(path))
        source = self._session.get_inputs()[0]
        x, y = self._outputs = _axes(Path(path), source.shape, self._session.get_outputs())
        self._size_wh = (int(source.shape[3]), int(source.shape[2]))
        self._input, self._batches = source.name, not isinstance(source.shape[0], int)
        self.layout = _LAYOUTS[x.shape[1]]
        self._split = (x.shape[2] / self._size_wh[0], y.shape[2] / self._size_wh[1])
        self._known: list[Array] = []
        self._search = Search(max_people)
        self._finder: Any = None
        if available("mediapipe"):
            from maskclr_edge.live.mediapipe_graphs import PoseNetworks

            self._finder = PoseNetworks(copies=0)

    def estimate(self, image: Array) -> Array:
        """People in an image (H, W, 3) of BGR bytes: float32 (P, V, 3)."""
        height, width = image.shape[:2]
        boxes = [box_of(person) for person in self._known]
        for box in self._found(image):
            if len(boxes) < self.max_people and not any(overlap(box, other) > _SAME_BOX for other in boxes):
                boxes.append(box)
        boxes = [box for box in boxes if min(box[2] - box[0], box[3] - box[1]) >= _SMALLEST]
        people = [] if not boxes else list(self._look(image, boxes))
        for person in people:
            x, y = person[:, 0], person[:, 1]
            person[(x < 0) | (x >= width) | (y < 0) | (y >= height) | (person[:, 2] <= 0)] = 0
        clear = [person for person in people if confidence_of(person) >= _CLEAR]
        self._known = without_doubles(clear, self.max_people)
        if not self._known:
            joints = int(self._outputs[0].shape[1])
            return np.zeros((0, joints, 3), np.float32)
        return np.stack(self._known)

    def close(self) -> None:
        """Free the networks; again is harmless."""
        if self._finder is not None:
            self._finder.close()

    def __enter__(self) -> "RtmPose":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _found(self, image: Array) -> list[Array]:
        """Boxes in which someone new may be."""
        height, width = image.shape[:2]
        if self._finder is None:
            return [] if self._known else [np.array([0.0, 0.0, width, height])]
        squares = self._search.squares(width, height, len(self._known))
        rgb = np.ascontiguousarray(image[..., ::-1])
        return [region.box for region in self._finder.run(rgb, [], squares)[1]]

    def _look(self, image: Array, boxes: list[Array]) -> Array:
        """The joints (P, V, 3) of the person in each box."""
        cv2: Any = require("cv2")
        width, height = self._size_wh
        inputs, places = [], []
        for x0, y0, x1, y1 in boxes:
            # the box grows to the shape of the input, around its middle
            side = _PADDING * max((x1 - x0) / width, (y1 - y0) / height)
            left, top = (x0 + x1 - side * width) / 2, (y0 + y1 - side * height) / 2
            matrix = np.array([[1 / side, 0, -left / side], [0, 1 / side, -top / side]])
            part = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
            inputs.append(((part[..., ::-1] - _MEAN) / _DEVIATION).transpose(2, 0, 1))
            places.append((left, top, side))
        batch = np.stack(inputs).astype(np.float32)
        parts = [batch] if self._batches else [batch[index : index + 1] for index in range(len(batch))]
        answers = [self._run(part) for part in parts]
        along_x, along_y = (np.concatenate([answer[axis] for answer in answers]) for axis in (0, 1))
        people = np.empty((len(boxes), along_x.shape[1], 3), np.float32)
        left_top_side = np.array(places)[:, None]  # (P, 1, 3)
        people[..., 0] = along_x.argmax(-1) / self._split[0] * left_top_side[..., 2] + left_top_side[..., 0]
        people[..., 1] = along_y.argmax(-1) / self._split[1] * left_top_side[..., 2] + left_top_side[..., 1]
        people[..., 2] = np.clip((along_x.max(-1) + along_y.max(-1)) / 2, 0, 1)
        people[~np.isfinite(people).all(axis=-1)] = 0
        return people

    def _run(self, batch: Array) -> list[Array]:
        try:
            answers: list[Array] = self._session.run(
                [output.name for output in self._outputs], {self._input: batch}
            )
        except Exception as error:  # its exceptions share no base of their own
            raise EngineError(f"the pose network failed: {str(error).splitlines()[0]}") from error
        return answers


def _open(path: Path) -> Any:
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file; give the .onnx file of an RTMPose network")
    if path.stat().st_size > MAX_BYTES:
        raise SourceError(f"{path}: {path.stat().st_size >> 20} MiB; a pose network has at most 1024")
    ort: Any = require("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    set_waiting(options, ort.__version__)
    try:
        return ort.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base of their own
        raise ConfigError(
            f"{path}: not taken by ONNX Runtime ({str(error).splitlines()[0][:120]})"
        ) from error


def _axes(path: Path, shape: list[Any], outputs: list[Any]) -> tuple[Any, Any]:
    """The outputs along x and y. Raises ConfigError for a file that is not of RTMPose's form."""
    wanted = "expected RTMPose's form: input (N, 3, H, W), outputs simcc_x (N, K, 2 W), simcc_y (N, K, 2 H)"
    given = f"input {shape}, outputs {[output.shape for output in outputs]}"
    fixed = len(shape) == 4 and shape[1] == 3 and all(isinstance(size, int) for size in shape[2:])
    ranks = len(outputs) == 2 and all(
        len(output.shape) == 3 and all(isinstance(size, int) for size in output.shape[1:])
        for output in outputs
    )
    if not fixed or not ranks or outputs[0].shape[1] != outputs[1].shape[1]:
        raise ConfigError(f"{path}: has {given}; {wanted}")
    x, y = sorted(outputs, key=lambda output: not str(output.name).endswith("x"))
    if x.shape[2] % shape[3] or y.shape[2] % shape[2]:
        raise ConfigError(f"{path}: has {given}; {wanted}")
    if x.shape[1] not in _LAYOUTS:
        raise ConfigError(f"{path}: has {x.shape[1]} joints; those of 17 (COCO) and 26 (Halpe) are known")
    return x, y
