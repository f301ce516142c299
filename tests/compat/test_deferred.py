"""Stand-ins for packages that PaddleClas imports and few trainings use."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest

from ppcls_slim.compat.deferred import deferred


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that nobody has imported, with a module in it."""
    folder = tmp_path / "heavy_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("__version__ = '1.2'\n")
    (folder / "part.py").write_text(
        "class Thing:\n    def __init__(self, size):\n        self.size = size\n\nSIZE = Thing(3)\n"
    )
    (folder / "other.py").write_text("def double(number):\n    return 2 * number\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "heavy_package"
    for name in ("heavy_package", "heavy_package.part", "heavy_package.other"):
        sys.modules.pop(name, None)


def test_what_is_imported_is_loaded_when_it_is_used(package):
    with deferred([package]):
        import heavy_package  # these only there
        import heavy_package.part as part
        from heavy_package.part import SIZE, Thing
    assert package not in sys.modules
    assert Thing(2).size == 2
    assert sys.modules[package].part.Thing is part.Thing
    assert SIZE.size == 3
    assert heavy_package.part.SIZE.size == 3

    class Larger(Thing):
        pass

    assert issubclass(Larger, sys.modules[f"{package}.part"].Thing)


def test_every_module_of_the_package_and_no_other_can_be_imported(package):
    with deferred([package]):
        from heavy_package import other
        from heavy_package.part import Thing

        with pytest.raises(ImportError):
            import heavy_package.nowhere  # noqa: F401
    assert package not in sys.modules
    assert other.double(2) == 4
    assert not hasattr(other, "triple")
    assert isinstance(Thing(1), Thing)
    assert pickle.loads(pickle.dumps(Thing)) is copy.deepcopy(Thing) is sys.modules[f"{package}.part"].Thing


def test_what_is_used_while_it_is_imported_is_loaded_then(package):
    with deferred([package]):
        import heavy_package
        from heavy_package.other import double

        assert double(2) == 4
        assert heavy_package.__version__ == "1.2"
        import heavy_package.part as part
    assert part is sys.modules[f"{package}.part"]


def test_what_is_loaded_already_stays_itself(package):
    import heavy_package.part as real  # only there

    with deferred([package]):
        from heavy_package.part import Thing
    assert Thing is real.Thing


def test_what_is_not_installed_is_missed_at_once():
    with deferred(["no_such_package"]), pytest.raises(ImportError):
        import no_such_package  # noqa: F401


@pytest.mark.paddle26
def test_a_dry_run_loads_none_of_them_and_they_work_when_they_are_used(ppcls_root):
    program = (
        "import sys\n"
        "from ppcls_slim.compat.paddleclas.engine import load_engine\n"
        "load_engine()\n"
        "import ppcls_slim.prune.planning\n"
        "print([name for name in ('sklearn', 'pandas', 'matplotlib.pyplot', 'visualdl') if name in sys.modules])\n"
        "import numpy as np\n"
        "from ppcls.metric import metrics\n"
        "from ppcls.engine.evaluation import adaface\n"
        "from ppcls.loss import afdloss\n"
        "from ppcls.engine import engine\n"
        "from ppcls.data.preprocess.ops import fmix\n"
        "print(metrics.hamming_loss(np.array([[1, 0]]), np.array([[1, 1]])))\n"
        "print(adaface.sklearn.preprocessing.normalize([[3.0, 4.0]]).tolist(), adaface.KFold(n_splits=2).n_splits)\n"
        "print(afdloss.plt.rcParams is __import__('matplotlib').rcParams, engine.LogWriter.__name__)\n"
        "print(0 < fmix.beta.rvs(1, 1) < 1)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "0.5", "[[0.6, 0.8]] 2", "True LogWriter", "True"], done.stderr
