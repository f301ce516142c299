"""Nothing but a section ``Arch`` needs PaddleClas, and nothing needs PaddleSlim."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("ppcls", "paddleclas", "paddleslim"):
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Blocked())
import ppcls_slim
from own_networks import SHAPE, batches, small

net = small()
net = ppcls_slim.prune(net, ppcls_slim.plan(net, SHAPE, pruned_ratio=0.5, align=2), batches())
assert ppcls_slim.verify(net).error < 1e-5
net = ppcls_slim.quantize(net, batches())
exports = ppcls_slim.export(net, "int8", data=batches(), compare=False)
print(ppcls_slim.benchmark([exports.folders["paddle"]], runs=3))
again = ppcls_slim.load(ppcls_slim.save(net, "checkpoint/quantized"), small)
assert ppcls_slim.verify(again, "int8").samples == 4
assert not {"ppcls", "paddleslim"} & set(sys.modules)
"""


@pytest.mark.paddle26
def test_networks_are_compressed_without_paddleclas_and_paddleslim(tmp_path, root):
    program = f"import sys; sys.path.insert(0, {str(root / 'tests/api')!r})\n{PROGRAM}"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
