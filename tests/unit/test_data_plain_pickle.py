"""The pickle reader: everything plain data need, and nothing that could run code, fill the memory or hang."""

import collections
import copy
import os
import pickle
import pickletools
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskclr_edge.data import read_plain_pickle
from maskclr_edge.errors import DataError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)
#: the reader takes whole numbers of 16 bytes at most
_INTEGERS = st.integers(-(2**100), 2**100)
_SCALARS = st.none() | st.booleans() | _INTEGERS | st.floats(allow_nan=False) | st.text() | st.binary()
_KEYS = st.text() | _INTEGERS | st.booleans()
PLAIN = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(_KEYS, inner)
        | st.dictionaries(_KEYS, inner).map(collections.OrderedDict)
        | st.sets(st.text() | _INTEGERS)
        | st.frozensets(st.text() | _INTEGERS)
    ),
    max_leaves=12,
)
_DTYPES = st.sampled_from([*"?bBhHiIlLqQefd", ">f4", ">i8", ">f2"]).map(np.dtype)
ARRAYS = _DTYPES.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)


def _write(folder: Path, data: bytes) -> Path:
    path = folder / "annotations.pkl"
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pickles")


def _read(folder: Path, data: bytes) -> Any:
    return read_plain_pickle(_write(folder, data))


def _refused(folder: Path, data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        _read(folder, data)
    text = str(caught.value)
    assert "\n" not in text and "annotations.pkl: " in text and len(text.split("annotations.pkl: ")[1]) < 250


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(value=PLAIN)
def test_plain_containers_come_back_in_every_protocol(folder: Path, protocol: int, value: Any) -> None:
    assert _read(folder, pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(array=ARRAYS, fortran=st.booleans())
def test_arrays_come_back_in_every_protocol(
    folder: Path, protocol: int, array: np.ndarray, fortran: bool
) -> None:
    array = np.asfortranarray(array) if fortran and array.ndim else array
    again, shared = _read(folder, pickle.dumps([array, {"x": (array,)}], protocol))
    for one in (again, shared["x"][0]):
        assert (
            isinstance(one, np.ndarray)
            and one.dtype == array.dtype.newbyteorder("=")
            and one.shape == array.shape
        )
        np.testing.assert_array_equal(one, array)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("scalar", [np.float32(1.5), np.int64(-7), np.bool_(True), np.float16(0.25)])
def test_numpy_scalars_become_numbers(folder: Path, protocol: int, scalar: Any) -> None:
    value = _read(folder, pickle.dumps(scalar, protocol))
    assert value == scalar and not isinstance(value, np.generic)


def test_numpy_1_module_paths(folder: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    for protocol in (2, 4, 5):
        data = pickle.dumps(array, protocol)
        if protocol == 2:
            data = data.replace(b"numpy._core.", b"numpy.core.")
        else:  # length-prefixed names: rewrite length, name and frame
            for name in (b"numpy._core.multiarray", b"numpy._core.numeric"):
                new = name.replace(b"_core", b"core")
                data = data.replace(bytes([len(name)]) + name, bytes([len(new)]) + new)
            data = data[:3] + struct.pack("<Q", len(data) - 11) + data[11:]
        assert b"_core" not in data
        np.testing.assert_array_equal(_read(folder, data), array)


def test_python_2_text_arrays(folder: Path) -> None:
    raw = np.array([1.5, -2.0], "<f4").tobytes()
    data = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\ndtype\n(S'f4'\nI0\nI1\ntR"
        b"(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nU" + bytes([len(raw)]) + raw + b"tb."
    )
    np.testing.assert_array_equal(_read(folder, data), [1.5, -2.0])


def test_real_files_are_read_as_pickle_reads_them(shared_data: Path) -> None:
    path = shared_data / "sbu_coco17.pkl"
    with path.open("rb") as file:
        expected = pickle.load(file)
    got = read_plain_pickle(path)
    assert got["split"] == expected["split"] and len(got["annotations"]) == len(expected["annotations"])
    for one, other in zip(got["annotations"], expected["annotations"], strict=True):
        assert one.keys() == other.keys()
        np.testing.assert_array_equal(one["keypoint"], other["keypoint"])
        assert one["keypoint_score"].dtype == other["keypoint_score"].dtype


class _Runs:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch {}",), r"(posix|nt)\.system"),
        (eval, ("open('{}', 'w')",), r"(builtins|__builtin__)\.eval"),
        (exec, ("open('{}', 'w')",), r"(builtins|__builtin__)\.exec"),
        (open, ("{}", "w"), r"_?io\.open"),
        (subprocess.Popen, (["touch", "{}"],), r"(subprocess|commands)\.Popen"),
        (getattr, ("text", "upper"), r"(builtins|__builtin__)\.getattr"),
        (copy.deepcopy, ([],), r"copy\.deepcopy"),
        (np.load, ("{}",), r"numpy\.load"),
        (bytes.fromhex, ("00",), r"(builtins|__builtin__)\.getattr"),
    ],
)
def test_nothing_runs(tmp_path: Path, protocol: int, function: Any, arguments: Any, named: str) -> None:
    trace = tmp_path / "ran"
    filled = tuple(
        a.format(trace) if isinstance(a, str) else [part.format(trace) for part in a] for a in arguments
    )
    data = pickle.dumps({"annotations": [_Runs(function, *filled)]}, protocol)
    _refused(tmp_path, data, f"refers to {named}, .* nothing was run")
    assert not trace.exists()


def test_the_refused_name_is_given(tmp_path: Path) -> None:
    _refused(tmp_path, pickle.dumps(_Runs(os.system, "true")), r"refers to posix\.system, .* nothing was run")
    _refused(tmp_path, b"cos\n\x1b[31mevil\nN.", r"refers to os\.\?\?31mevil,")


def test_classes_objects_and_subclasses_are_refused(tmp_path: Path) -> None:
    _refused(tmp_path, pickle.dumps(Path("x")), r"refers to pathlib")
    _refused(tmp_path, pickle.dumps(np.ma.masked_array([1.0])), r"refers to numpy\.ma")
    _refused(tmp_path, pickle.dumps(np.random.default_rng(0)), r"refers to numpy\.random")
    _refused(tmp_path, pickle.dumps(1 + 2j), r"refers to builtins\.complex")
    _refused(tmp_path, pickle.dumps(range(3)), r"refers to builtins\.range")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "array",
    [
        np.array([{"a": 1}, None], dtype=object),
        np.array(["text"]),
        np.array([b"bytes"]),
        np.zeros(2, dtype=[("x", "f4"), ("y", "O")]),
        np.zeros(2, dtype="datetime64[s]"),
        np.zeros(2, dtype=complex),
    ],
)
def test_arrays_of_anything_but_numbers_are_refused(tmp_path: Path, protocol: int, array: np.ndarray) -> None:
    _refused(tmp_path, pickle.dumps(array, protocol), "has a numpy array of")


def _array_pickle(shape: bytes, raw: bytes) -> bytes:
    return (
        b"\x80\x04cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01" + shape
        + b"cnumpy\ndtype\nX\x02\x00\x00\x00f4\x89\x88\x87R\x89C" + bytes([len(raw)]) + raw + b"tb."
    )  # fmt: skip


def test_a_shape_must_have_the_size_of_its_data(tmp_path: Path) -> None:
    np.testing.assert_array_equal(_read(tmp_path, _array_pickle(b"K\x02\x85", bytes(8))), [0, 0])
    for shape in (
        b"K\x03\x85",
        b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86",
        b"\x8a\x09" + b"\x00" * 8 + b"\x01\x85",
        b")",
    ):
        _refused(tmp_path, _array_pickle(shape, bytes(8)), "do not have the size of its shape")
    _refused(
        tmp_path,
        _array_pickle(b"J\xff\xff\xff\xffJ\xfe\xff\xff\xff\x86", bytes(8)),
        "not a pickle, or a damaged one",
    )


@pytest.mark.parametrize("opcode", [b"B", b"X", b"T", b"\x8e", b"\x8d", b"\x96"])
def test_declared_sizes_beyond_the_file_allocate_nothing(tmp_path: Path, opcode: bytes) -> None:
    wide = opcode in (b"\x8e", b"\x8d", b"\x96")
    for size in (100, 2**31, 2**32 - 1, *((2**40, 2**63) if wide else ())):
        length = struct.pack("<Q" if wide else "<I", size)
        _refused(tmp_path, b"\x80\x04" + opcode + length + b"abc.", "is truncated, or not a pickle")


def test_huge_memo_places_frames_and_numbers_allocate_nothing(tmp_path: Path) -> None:
    assert _read(tmp_path, b"\x80\x04Nr\xff\xff\xff\xff.") is None
    _refused(tmp_path, b"\x80\x04\x95" + b"\xff" * 8 + b"N.", "is truncated")
    _refused(tmp_path, b"\x80\x04\x8b\xff\xff\xff\x7f1.", "has a whole number of 2147483647 bytes")
    _refused(tmp_path, b"L" + b"9" * 5000 + b"L\n.", "is truncated, or not a pickle")
    _refused(tmp_path, b"I" + b"9" * 400 + b"\n.", "not a pickle, or a damaged one")


def test_keys_whose_hash_would_never_end_are_refused(tmp_path: Path) -> None:
    nested: Any = ()
    for _ in range(200):
        nested = (nested, nested)
    data = pickle.dumps([nested], 4)
    assert len(data) < 2000
    _read(tmp_path, data)
    # the nested tuple as a key of a dict: }, the tuple, a value, SETITEM
    body = pickle.dumps(nested, 2)[2:-1]
    _refused(tmp_path, b"\x80\x02}" + body + b"Ns.", "has a tuple as a key")
    _refused(tmp_path, b"\x80\x04\x8f(" + body + b"\x90.", "has a tuple as a key")
    _refused(tmp_path, b"\x80\x04(" + body + b"\x91.", "has a tuple as a key")


def test_a_list_may_hold_itself_and_depth_does_no_harm(tmp_path: Path) -> None:
    loop: list[Any] = []
    loop.append(loop)
    again = _read(tmp_path, pickle.dumps(loop))
    assert again[0] is again
    _read(tmp_path, b"]" * 100_000 + b"a" * 99_999 + b".")
    _read(tmp_path, b"(" * 50_000 + b"t" * 50_000 + b".")


NOT_PICKLES = (
    b"", b".", b"N", b"hello, world", b"\x89PNG\r\n\x1a\n", b'{"a": 1}', b"PK\x03\x04" + bytes(100),
    bytes(50), b"\x80\x04R.", b"\x80\x04)R.", b"]Na", b"(", b"\x80\x04Nb.", b"0.", b"1.", b"h\x05.",
    b"\x80\x04\x94.", b"NNs.",
    b"}(Nu.", b"\x85.", b"S'a\n.",
)  # fmt: skip


@pytest.mark.parametrize("data", NOT_PICKLES)
def test_what_is_not_a_pickle_is_one_line(tmp_path: Path, data: bytes) -> None:
    _refused(tmp_path, data, "is truncated|not a pickle|calls something|sets the state")


def test_other_protocol_persistent_and_extension_codes_are_refused(tmp_path: Path) -> None:
    _refused(tmp_path, b"\x80\x06N.", "is a pickle of protocol 6; expected 0 to 5")
    for code in (
        b"Pid\n.", b"NQ.", b"\x82\x01.", b"\x83\x01\x00.", b"\x84\x01\x00\x00\x00.", b"\x97.", b"\x98.",
        b"(icollections\nOrderedDict\n.", b"(ccollections\nOrderedDict\no.",
        b"ccollections\nOrderedDict\n)\x81.",
    ):  # fmt: skip
        _refused(tmp_path, code, "is not a pickle of plain data")


def test_admitted_names_cannot_be_abused(tmp_path: Path) -> None:
    for code, message in (
        (b"cnumpy\nndarray\n((I9999999999\ntS'f8'\ntR.", "calls numpy.ndarray itself"),
        (b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.", "unknown encoding"),
        (b"c__builtin__\nbytes\n(I99999999999\ntR.", "not a pickle, or a damaged one"),
        (b"c__builtin__\nbytearray\n(I99999999999\ntR.", "not a pickle, or a damaged one"),
        (b"c__builtin__\nset\n(I99999999999\ntR.", "not a pickle, or a damaged one"),
        (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(I0\ntS'b'\ntR.",
            "a subclass of numpy.ndarray",
        ),
        (b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR.", "of type O8; .*object arrays can hold code"),
        (b"cnumpy\ndtype\n(S'V99999999999'\nI0\nI1\ntR.", "of type V99999999999"),
        (b"cnumpy\nndarray\nN}S'x'\nNsb.", "sets the state of a NoneType"),
        (b"cnumpy\nndarray\n}S'x'\nNsb.", "sets the state of a Global"),
    ):
        _refused(tmp_path, code, message)


def test_missing_files_folders_and_pipes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.pkl: cannot be read \(No such file"):
        read_plain_pickle(tmp_path / "none.pkl")
    with pytest.raises(DataError, match="is not a regular file"):
        read_plain_pickle(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(DataError, match="is not a regular file"):
        read_plain_pickle(pipe)


def test_size_limit(tmp_path: Path) -> None:
    path = _write(tmp_path, pickle.dumps(list(range(1000))))
    with pytest.raises(DataError, match="bytes long, the limit is 100; split it"):
        read_plain_pickle(path, max_bytes=100)


SAMPLE = pickle.dumps(
    {
        "split": {"val": ["a"]},
        "annotations": [{"frame_dir": "a", "label": 1, "keypoint": np.ones((1, 2, 17, 2), np.float32)}],
    }
)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    for length in range(0, len(SAMPLE), 3):
        with pytest.raises(DataError):
            _read(tmp_path, SAMPLE[:length])


@given(st.integers(0, len(SAMPLE) - 1), st.binary(min_size=1, max_size=8))
def test_damage_anywhere_gives_data_or_a_data_error(folder: Path, place: int, junk: bytes) -> None:
    try:
        _read(folder, SAMPLE[:place] + junk + SAMPLE[place + len(junk) :])
    except DataError as error:
        assert "\n" not in str(error)


@given(
    st.lists(
        st.sampled_from(pickletools.opcodes).map(lambda o: o.code.encode("latin1")) | st.binary(max_size=4),
        max_size=40,
    )
)
def test_random_opcodes_give_data_or_a_data_error(folder: Path, parts: list[bytes]) -> None:
    try:
        _read(folder, b"".join(parts) + b".")
    except DataError as error:
        assert "\n" not in str(error)


def test_python_2_strings_with_escapes(tmp_path: Path) -> None:
    assert _read(tmp_path, rb"S'a\x00\n\\n\'\q\xff'" + b"\n.") == "a\x00\n\\n'\\q\xff"
