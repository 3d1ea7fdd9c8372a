"""mediapipe's two pose networks as two functions: where people are in a square, and the joints of one person.

Its own solutions run both for one person, or the whole chain for each picture. Here they run by themselves,
so that someone who is known costs the joints alone. The networks, and the graphs around them, are those in
the wheel; nothing is downloaded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from maskclr_edge.errors import EngineError, SourceError
from maskclr_edge.live.geometry import Array
from maskclr_edge.live.quiet import quiet
from maskclr_edge.live.search import Square
from maskclr_edge.optional import require

_FIND = """
input_stream: "image"
output_stream: "found"
node { calculator: "PoseDetectionCpu" input_stream: "IMAGE:image" output_stream: "DETECTIONS:found" }
"""
#: MODEL_COMPLEXITY 1: the "full" network, the one that the wheel carries
_LOOK = """
input_stream: "image"
input_stream: "region"
output_stream: "joints"
output_stream: "circle"
node {
  calculator: "ConstantSidePacketCalculator"
  output_side_packet: "PACKET:complexity"
  node_options: { [type.googleapis.com/mediapipe.ConstantSidePacketCalculatorOptions]: {
    packet { int_value: 1 }
  } }
}
node {
  calculator: "PoseLandmarkByRoiCpu"
  input_side_packet: "MODEL_COMPLEXITY:complexity"
  input_stream: "IMAGE:image"
  input_stream: "ROI:region"
  output_stream: "LANDMARKS:joints"
  output_stream: "AUXILIARY_LANDMARKS:circle"
}
"""
#: room that the networks were trained with around the circle of a body
_ROOM = 1.25


@dataclass(frozen=True)
class Region:
    """A turned square of the picture around one person: middle and side in pixels, turn in radians."""

    x: float
    y: float
    side: float
    turn: float

    @property
    def box(self) -> Array:
        """The upright box ``(x0, y0, x1, y1)`` of the square, its turn left out."""
        half = self.side / 2
        return np.array([self.x - half, self.y - half, self.x + half, self.y + half])


@dataclass(frozen=True, eq=False)
class Look:
    """Joints (33, 3) of one person, x and y in pixels and visibility, and the region for the next look."""

    joints: Array
    region: Region


class PoseNetworks:
    """The detector, and ``copies`` of the network of joints: so many people are looked at at once."""

    def __init__(self, copies: int) -> None:
        mediapipe: Any = require("mediapipe")
        self._mediapipe = mediapipe
        self._unpack: Any = require("mediapipe.python.packet_getter")._packet_getter
        detection: Any = require("mediapipe.framework.formats.detection_pb2")
        landmark: Any = require("mediapipe.framework.formats.landmark_pb2")
        self._Rect: Any = require("mediapipe.framework.formats.rect_pb2").NormalizedRect
        self._Detection, self._Landmarks = detection.Detection, landmark.NormalizedLandmarkList
        bindings: Any = require("mediapipe.python._framework_bindings.resource_util")
        bindings.set_resource_dir(str(Path(mediapipe.__file__).parents[1]))
        try:
            with quiet():
                self._find = _Graph(mediapipe, _FIND, ("found",))
                self._look = [_Graph(mediapipe, _LOOK, ("joints", "circle")) for _ in range(copies)]
        except (RuntimeError, ValueError) as error:
            raise SourceError(
                f"mediapipe {mediapipe.__version__} does not carry its pose networks; install the release "
                "that does: pip install 'mediapipe==0.10.14'"
            ) from error

    def run(
        self, image: Array, regions: Sequence[Region], squares: Sequence[Square] = ()
    ) -> tuple[list[Look | None], list[Region]]:
        """Look at regions, and for people in squares ``(x0, y0, x1, y1)``, all at the same time.

        image is (H, W, 3) RGB bytes. Gives a look for each region, None where nobody is, and where people
        are in the squares, the surest first, in pixels of the whole. Raises EngineError when mediapipe fails.
        """
        height, width = image.shape[:2]
        whole = self._picture(image) if regions else None
        pending = []
        for index, region in enumerate(regions):
            graph = self._look[index % len(self._look)]
            rect = self._Rect(
                x_center=region.x / width, y_center=region.y / height,
                width=region.side / width, height=region.side / height, rotation=region.turn,
            )  # fmt: skip
            at = graph.send(image=whole, region=self._mediapipe.packet_creator.create_proto(rect))
            pending.append((graph, at))
        searched = []
        for x0, y0, x1, y1 in squares:
            part = self._picture(np.ascontiguousarray(image[y0:y1, x0:x1]))
            searched.append((self._find.send(image=part), (x0, y0, x1 - x0, y1 - y0)))
        for graph in (*self._look, self._find):
            graph.wait()
        looks = [self._joints(graph.take(at), width, height) for graph, at in pending]
        found = [one for at, place in searched for one in self._regions(self._find.take(at), place)]
        return looks, [region for _, region in sorted(found, key=lambda one: -one[0])]

    def close(self) -> None:
        """Free the networks; again is harmless."""
        for graph in (self._find, *self._look):
            graph.close()

    def _picture(self, image: Array) -> Any:
        mediapipe = self._mediapipe
        return mediapipe.packet_creator.create_image_frame(
            data=image, image_format=mediapipe.ImageFormat.SRGB
        )

    def _joints(self, packets: dict[str, Any], width: int, height: int) -> Look | None:
        if "joints" not in packets or "circle" not in packets:
            return None
        read = self._unpack._get_serialized_proto
        joints = self._Landmarks.FromString(read(packets["joints"])).landmark
        middle, edge = self._Landmarks.FromString(read(packets["circle"])).landmark[:2]
        table = np.array([(j.x * width, j.y * height, j.visibility) for j in joints], np.float32)
        ends = np.array([(middle.x * width, middle.y * height), (edge.x * width, edge.y * height)])
        if not np.isfinite(table).all() or not np.isfinite(ends).all():
            return None
        return Look(table, _around(ends[0], ends[1]))

    def _regions(
        self, packets: dict[str, Any], place: tuple[int, int, int, int]
    ) -> list[tuple[float, Region]]:
        """People who were found in one square, each with how sure that is."""
        if "found" not in packets:
            return []
        x, y, width, height = place
        regions = []
        for data in self._unpack._get_serialized_proto_list(packets["found"]):
            one = self._Detection.FromString(data)
            points = one.location_data.relative_keypoints
            middle, edge = (
                np.array([point.x * width + x, point.y * height + y]) for point in (points[0], points[1])
            )
            if np.isfinite(middle).all() and np.isfinite(edge).all():
                regions.append((one.score[0], _around(middle, edge)))
        return regions


class _Graph:
    """One running graph; what it gave is kept by the number of the call."""

    def __init__(self, mediapipe: Any, text: str, outputs: tuple[str, ...]) -> None:
        self._graph = mediapipe.CalculatorGraph(graph_config=text)
        self._given: dict[str, dict[int, Any]] = {name: {} for name in outputs}
        self._calls, self._open = 0, True
        for name in outputs:
            self._graph.observe_output_stream(name, self._keep, False)
        self._graph.start_run()
        self._graph.wait_until_idle()  # what it has to say of its start is said by then

    def send(self, **inputs: Any) -> int:
        """Hand packets over and go on; gives the number of the call."""
        self._calls += 1
        try:
            for name, packet in inputs.items():
                self._graph.add_packet_to_input_stream(name, packet.at(self._calls))
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"mediapipe failed: {str(error).splitlines()[0]}") from error
        return self._calls

    def wait(self) -> None:
        """Until all calls are done."""
        try:
            self._graph.wait_until_idle()
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"mediapipe failed: {str(error).splitlines()[0]}") from error

    def take(self, call: int) -> dict[str, Any]:
        """Packets of one call by the name of their stream."""
        given = {name: packets.pop(call, None) for name, packets in self._given.items()}
        return {name: packet for name, packet in given.items() if packet is not None}

    def close(self) -> None:
        if self._open:
            self._open = False
            self._graph.close()

    def _keep(self, name: str, packet: Any) -> None:
        if not packet.is_empty():
            self._given[name][packet.timestamp.value] = packet


def _around(middle: Array, edge: Array) -> Region:
    """The square of a body's circle, turned so that the line from the middle to the edge points up."""
    x, y = edge - middle
    turn = np.pi / 2 - np.arctan2(-y, x)
    turn -= 2 * np.pi * np.floor((turn + np.pi) / (2 * np.pi))
    side = 2 * _ROOM * float(np.hypot(x, y))
    return Region(float(middle[0]), float(middle[1]), side, float(turn))
