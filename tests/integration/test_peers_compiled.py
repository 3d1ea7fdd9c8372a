"""torch.compile as a peer of the benchmarks computes what ours computes. Compiling takes minutes."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the peers are written in PyTorch")
import peer_nets  # noqa: E402

from maskclr_edge.model import build_model  # noqa: E402

pytestmark = pytest.mark.slow
COMPILED = [peer for peer in peer_nets.peers() if "compile" in peer.name]


@pytest.mark.parametrize("peer", COMPILED, ids=lambda peer: peer.name)
def test_a_compiled_peer_computes_the_network(peer, random_checkpoint, tmp_path, monkeypatch):
    # a cache of its own: what an earlier run compiled would not be compiled
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    checkpoint = random_checkpoint()
    given = np.random.default_rng(0).normal(0, 0.5, (1, 1, 7, 17, 3)).astype(np.float32)
    with torch.inference_mode():
        expected = build_model(checkpoint)(torch.from_numpy(given)).numpy()
    with peer.open(peer_nets.Setting(checkpoint, 7, 1, 1, tmp_path)) as call:
        error = np.abs(call(given) - expected).max() / np.abs(expected).max()
    assert error < (0.1 if "bf16" in peer.name else 1e-4)
