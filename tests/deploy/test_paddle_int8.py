"""The target paddle_int8."""

from __future__ import annotations

import pytest

from ppcls_slim.common.errors import SlimError

pytestmark = pytest.mark.paddle26


def test_what_stops_int8_is_one_line(ppcls_root):
    from ppcls_slim.deploy.targets import paddle_int8

    class Stops:
        precision = "int8"

        def __call__(self, pixels):
            raise RuntimeError("Traceback ...\ncould not create a primitive descriptor")

    with pytest.raises(SlimError, match=r"cannot run this model in int8 on the cpu \(could not create"):
        paddle_int8.with_clear_errors(Stops(), "cpu")(None)
