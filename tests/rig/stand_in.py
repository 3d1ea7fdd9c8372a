"""Makes and caches what the rig tests need: bindings of TensorRT releases, a libcuda on host memory, PyCUDA.

Everything lies in ~/.cache/maskclr-edge/rig (or MASKCLR_EDGE_RIG); none of it is committed.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[2] / "shared" / "trt_rig"
#: name of a release -> version of its bindings on PyPI; those called rtx are of TensorRT-RTX
VERSIONS = {"10.3": "10.3.0", "10.16": "10.16.1.11", "11.4": "11.4.0.106", "rtx-1.7": "1.7.1.116"}
CUDA_BINDINGS = "12.9.4"
STUBGEN = "2.5.5"


class Unavailable(Exception):
    """Something that the rig needs is not here; the test skips and says what."""


def cache() -> Path:
    """The folder of what was made before."""
    folder = Path(os.environ.get("MASKCLR_EDGE_RIG") or Path.home() / ".cache" / "maskclr-edge" / "rig")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def rig(release: str, *, fake: bool = True) -> Path:
    """A folder with `import tensorrt`, or `tensorrt_rtx`, of one release on a stand-in library.

    Without fake the library makes no object, as TensorRT does where its driver or CUDA does not fit.
    """
    _need_shared()
    version = VERSIONS[release]
    if release.startswith("rtx"):
        return _rtx_rig(version)

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as wheels:
            _pip("download", "--no-deps", "-d", wheels, f"tensorrt-cu12-bindings=={version}")
            wheel = next(Path(wheels).glob("*.whl"))
            flags = ["--fake"] if fake else []
            _run(sys.executable, str(SHARED / "make_rig.py"), str(wheel), str(folder), *flags)

    source = (SHARED / "make_rig.py").read_bytes() + (SHARED / "fake_trt.cpp").read_bytes()
    kind = "" if fake else "-null"
    return _cached(f"tensorrt{kind}-{version}-{_python()}-{_digest(source)}", make)


def _rtx_rig(version: str) -> Path:
    """The same stand-in under the names of TensorRT-RTX, whose bindings ask for the same functions.

    The package `tensorrt_rtx` is as in NVIDIA's own wheel: all that the bindings have.
    """
    source = SHARED / "fake_trt.cpp"

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as wheels:
            _pip("download", "--no-deps", "-d", wheels, f"tensorrt-rtx-cu13-bindings=={version}")
            zipfile.ZipFile(next(Path(wheels).glob("*.whl"))).extractall(folder)
        for name in ("tensorrt_libs", "tensorrt_rtx", "tensorrt_rtx_libs"):
            (folder / name).mkdir()
        library = folder / "tensorrt_libs" / "libnvinfer.so.rtx"  # where fake_trt looks for it
        words = ("-shared", "-fPIC", "-O1")
        _run("g++", "-std=c++17", *words, "-Wl,-soname,libtensorrt_rtx.so.1", "-o", str(library), str(source))
        empty = folder / "empty.c"
        empty.write_text("int maskclr_stub;\n")
        parser = "libtensorrt_onnxparser_rtx.so.1"
        target = folder / "tensorrt_rtx_libs" / parser
        _run("gcc", *words, f"-Wl,-soname,{parser}", "-o", str(target), str(empty))
        (folder / "tensorrt_rtx_libs" / "__init__.py").write_text(
            f"import ctypes\nctypes.CDLL(__path__[0] + '/{parser}', mode=ctypes.RTLD_GLOBAL)\n"
        )
        (folder / "tensorrt_rtx" / "__init__.py").write_text(
            "from tensorrt_rtx_bindings import *\nfrom tensorrt_rtx_bindings import __version__\n"
        )

    return _cached(f"tensorrt-rtx-{version}-{_python()}-{_digest(source.read_bytes())}", make)


def cuda_python() -> Path:
    """A folder with cuda-python's bindings; they load on any machine."""

    def make(folder: Path) -> None:
        _pip(
            "install",
            "--no-deps",
            "--target",
            str(folder),
            f"cuda-bindings=={CUDA_BINDINGS}",
            "cuda-pathfinder",
        )

    return _cached(f"cuda-bindings-{CUDA_BINDINGS}-{_python()}", make)


def pycuda(optimise: str = "-O0") -> Path:
    """A folder with PyCUDA, built here without a CUDA toolkit: some 90 seconds, once; minutes with -O2."""
    _need_shared()
    script = (SHARED / "make_pycuda.sh").read_text().replace("-O0", optimise)

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as tools:  # the script installs into the environment it finds
            python = _environment(Path(tools) / "venv")
            for file in SHARED.glob("*.*"):
                Path(tools, file.name).write_bytes(file.read_bytes())
            Path(tools, "make_pycuda.sh").write_text(script)
            path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"
            _run("sh", str(Path(tools, "make_pycuda.sh")), str(folder), PATH=path)

    return _cached(f"pycuda-{_python()}-{_digest(script.encode())}", make) / "site"


def stubs(release: str) -> Path:
    """A folder with .pyi files of one release's Python API, for mypy."""
    wanted = rig(release)

    def make(folder: Path) -> None:
        with tempfile.TemporaryDirectory() as tools:
            python = _environment(Path(tools) / "venv", f"pybind11-stubgen=={STUBGEN}")
            _run(str(python), str(SHARED / "make_stubs.py"), str(wanted), str(folder))

    return _cached(f"stubs-{VERSIONS[release]}-{_python()}-{STUBGEN}", make)


def libcuda(site: Path | None) -> Path:
    """libcuda.so.1 on host memory, with every symbol that the PyCUDA in ``site`` asks for."""
    source = (HERE / "libcuda.c").read_text()
    wanted: list[str] = []
    if site is not None:
        driver = next(site.glob("pycuda/_driver*.so"))
        wanted = re.findall(r" U (cu\w+)", _run("nm", "-D", "--undefined-only", str(driver)))
    rest = "".join(f"int {name}(void) {{ return 801; }}\n" for name in wanted if f"int {name}(" not in source)

    def make(folder: Path) -> None:
        (folder / "libcuda_rest.h").write_text(rest)
        _run(
            "gcc", "-O1", "-w", "-shared", "-fPIC", f"-I{folder}", "-Wl,-soname,libcuda.so.1",
            "-o", str(folder / "libcuda.so.1"), str(HERE / "libcuda.c"), "-ldl",
        )  # fmt: skip

    return _cached(f"libcuda-{_digest((source + rest).encode())}", make) / "libcuda.so.1"


def command(script: str, release: str, layer: str, bundle: Path, optimise: str = "-O0") -> list[str]:
    """The command line of a program of this folder, on a release of TensorRT and a CUDA layer."""
    sites = [cuda_python()]
    if layer == "pycuda":
        sites.insert(0, pycuda(optimise))
    stand_in_cuda = libcuda(sites[0] if layer == "pycuda" else None)
    return [
        *(
            sys.executable,
            "-W",
            "error",
            str(HERE / script),
            "--shared",
            str(SHARED),
            "--rig",
            str(rig(release)),
        ),
        *("--libcuda", str(stand_in_cuda), "--layer", layer, "--bundle", str(bundle)),
        *(word for site in sites for word in ("--site", str(site))),
    ]


def _need_shared() -> None:
    if not SHARED.is_dir():
        raise Unavailable("needs the folder ../shared/trt_rig, which is not beside this checkout")
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise Unavailable("the rig is for x86-64 Linux")


def _cached(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the cache, made by one process while the others wait."""
    folder = cache() / name
    with (cache() / f".{name}.lock").open("w") as lock:  # its own: PyCUDA takes minutes
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            temporary = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=cache()))
            try:
                make(temporary)
                temporary.chmod(0o755)
                temporary.rename(folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _environment(folder: Path, *packages: str) -> Path:
    """The Python of a new virtual environment with some packages."""
    _run(sys.executable, "-m", "venv", str(folder))
    python = folder / "bin" / "python"
    if packages:
        _run(str(python), "-m", "pip", "--disable-pip-version-check", "-q", "install", *packages)
    return python


def _pip(*words: str) -> None:
    _run(sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *words)


def _run(*words: str, **environment: str) -> str:
    try:
        done = subprocess.run(
            words, check=True, capture_output=True, text=True, timeout=1500, env={**os.environ, **environment}
        )
    except (OSError, subprocess.SubprocessError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise Unavailable(f"{Path(words[0]).name} {words[1]} failed: {lines[-1][:200]}") from error
    return done.stdout


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def _python() -> str:
    return f"cp{sys.version_info.major}{sys.version_info.minor}"
