"""torch.compile as a peer of the benchmarks computes what ours computes. Half a minute of compiling."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the peers are written in PyTorch")
import peer_nets  # noqa: E402

from maskclr_edge.model import build_model  # noqa: E402

pytestmark = pytest.mark.slow
COMPILED = [peer for peer in peer_nets.peers() if "compile" in peer.name]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder of their own, as what an earlier run compiled would not be compiled; one for both, as most
    of the time goes into headers and into finding out what the compiler can do.
    """
    folder = tmp_path_factory.mktemp("inductor")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", str(folder))
        yield folder


@pytest.mark.skipif(not COMPILED, reason="torch.compile needs a C++ compiler")
@pytest.mark.parametrize("peer", COMPILED, ids=lambda peer: peer.name)
def test_a_compiled_peer_computes_the_network(peer, random_checkpoint, cache):
    checkpoint = random_checkpoint(depth=1)
    given = np.random.default_rng(0).normal(0, 0.5, (1, 1, 3, 17, 3)).astype(np.float32)
    with torch.inference_mode():
        expected = build_model(checkpoint)(torch.from_numpy(given)).numpy()
    with peer.open(peer_nets.Setting(checkpoint, 3, 1, 1, cache)) as call:
        error = np.abs(call(given) - expected).max() / np.abs(expected).max()
    assert list(cache.rglob("*.so"))  # compiled, and not run as it is
    assert error < (0.1 if "bf16" in peer.name else 1e-4)
