"""FLOPs as the FPGM paper counts them come out to the digit."""

from __future__ import annotations

import pytest

from ppcls_slim.reference import cifar_flops


@pytest.mark.parametrize(
    ("depth", "pruned", "drop", "left"),
    [
        (20, 0.4, 54.0, 1.87e7),
        (32, 0.3, 41.5, 4.03e7),
        (32, 0.4, 53.2, 3.23e7),
        (56, 0.4, 52.6, 5.94e7),
        (110, 0.4, 52.3, 1.21e8),
    ],
)
def test_table_1_of_the_paper(depth: int, pruned: float, drop: float, left: float) -> None:
    assert round(cifar_flops.paper_drop_percent(depth, pruned), 1) == drop
    assert float(f"{cifar_flops.paper_flops(depth, pruned):.2e}") == left


def test_the_papers_resnet20_at_30_percent_has_two_digits_swapped() -> None:
    """42.2 % less than the dense 4.06e7 is 2.34e7; table 1 prints 2.43E7 beside 42.2."""
    assert round(cifar_flops.paper_drop_percent(20, 0.3), 1) == 42.2
    assert f"{cifar_flops.paper_flops(20, 0.3):.2e}" == "2.34e+07"


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
@pytest.mark.parametrize("pruned", [0.0, 0.1, 0.3, 0.4, 0.7])
def test_the_report_counts_as_the_reference(depth: int, pruned: float) -> None:
    from ppcls_slim.report import paper_flops

    assert paper_flops.paper_flops(depth, pruned) == pytest.approx(cifar_flops.paper_flops(depth, pruned), rel=1e-12)


def test_dense_count_by_hand() -> None:
    stem = 16 * 3 * 9 * 32 * 32
    per_layer = [16 * 16 * 9 * 32 * 32, 32 * 32 * 9 * 16 * 16, 64 * 64 * 9 * 8 * 8]
    expected = stem + 6 * per_layer[0] + 5.5 * per_layer[1] + 5.5 * per_layer[2]
    assert cifar_flops.paper_flops(20, 0.0) == expected == cifar_flops.removed_flops(20, 0.0)


def test_channels_that_can_be_removed_without_a_gather_are_fewer_than_the_paper_counts() -> None:
    dense = cifar_flops.removed_flops(20, 0.0)
    assert cifar_flops.removed_flops(20, 0.4) / dense > cifar_flops.paper_flops(20, 0.4) / dense


def test_a_depth_that_is_not_a_cifar_resnet_is_refused() -> None:
    with pytest.raises(ValueError, match="6 n"):
        cifar_flops.paper_flops(18, 0.3)
