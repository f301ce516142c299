"""Records of runs that were never made."""

from __future__ import annotations

from ppcls_slim.report.html.record import (
    Agreement,
    Command,
    Data,
    Epoch,
    Export,
    Model,
    QuantSensitivity,
    Record,
    Row,
    Stage,
    Way,
    Width,
)


def ways() -> list[Way]:
    def way(target, model, precision, latency, top1=None, holds=True):
        size = 100_000_000 if model == "dense" else 25_000_000
        return Way(
            target=target, engine=target, model=model, precision=precision, file_bytes=size, latency_ms=latency,
            low_ms=latency * 0.97, high_ms=latency * 1.05, speed_up=10 / latency, top1=top1, same=0.99, holds=holds,
        )  # fmt: skip

    return [
        way("paddle", "dense", "fp32", 10.0),
        way("paddle", "exported", "int8", 4.0, 0.971),
        way("openvino", "dense", "fp32", 9.0),
        way("openvino", "exported", "int8", 1.2, 0.9, holds=False),
        way("openvino", "exported", "int8+bf16", 2.5, 0.969),
    ]


def falling(number: int, epochs: int) -> list[tuple[int, float]]:
    """Alphas of one layer."""
    return [(epoch, 6.0 * (1 - 0.002 * number * epoch / epochs)) for epoch in range(epochs + 1)]


def large(layers: int = 65, epochs: int = 120) -> Record:
    """A run with everything that a page can show, of a deep network with long names."""
    names = [f"backbone.stage{n // 12}.block{n % 12}.conv_branch.depthwise_convolution_{n}" for n in range(layers)]
    curve = [
        Epoch(epoch=n, learning_rate=0.1 / n, loss=2.0 / n, train=1 - 0.5 / n, evaluated=1 - 0.6 / n)
        for n in range(1, epochs + 1)
    ]
    return Record(
        arch="ResNet50_vd",
        output="./output/a_folder_with_a_very_long_name_that_has_no_space_in_it_at_all/and_another_one",
        written="2026-01-02 03:04+00:00",
        slim={"prune": {"name": "fpgm", "pruned_ratio": 0.4, "skip": names}, "quant": {"name": "pact", "epochs": 20}},
        training={"epochs": epochs, "learning_rate": 0.01, "pretrained": 30 * "long_name_", "seed": 0},
        data=Data(dataset="ImageNetDataset", images=50_000, classes=1000, labels="val_list.txt"),
        stages=[Stage(name="pruned", epochs=curve), Stage(name="quantized", epochs=curve[:20])],
        models=[
            Model(name="dense", top1=0.98, flops=4_351_000_000, parameters=25_600_000),
            Model(name="pruned", top1=0.975, untrained=0.2, flops=2_100_000_000, parameters=12_000_000),
            Model(name="quantized", top1=0.972, untrained=0.9, flops=2_100_000_000, parameters=12_000_000),
        ],
        widths=[
            Width(
                layer=name,
                others=names[n + 1 : n + 3],
                before=64 * (1 + n // 12),
                after=40 * (1 + n // 12),
                note="importance lost 12.3 %",
                importance=[round((i + 1) / 33, 3) for i in range(33)],
            )
            for n, name in enumerate(names)
        ],
        frozen={"backbone.stem": "its output is the network's"},
        layers_float={"fc": "Slim.quant.skip: fc"},
        sensitivity={name: [(r / 10, 0.001 * n * r) for r in range(1, 10)] for n, name in enumerate(names)},
        quant_sensitivity=QuantSensitivity(
            errors={name: 1e-4 * (n + 1) for n, name in enumerate(names)},
            top1=[(0, 0.9), (1, 0.95), (2, 0.97)],
            float_top1=0.975,
            chosen=names[-2:],
        ),
        alpha={name: falling(n, epochs) for n, name in enumerate(names)},
        method="pact",
        export=Export(
            checkpoint="output/best_model",
            device="cpu",
            headings=("FP32", "int8"),
            ways=ways(),
            rows=[
                Row(
                    what="latency, batch 64, one thread, oneDNN",
                    before=47.9,
                    after=9.3,
                    unit="ms",
                    spread_before=(46.0, 50.1),
                )
            ],
            agreement=[
                Agreement(target="paddle", run="exported, int8", samples=1000, source="evaluation data", same=0.991)
            ],
            layers_float={"paddle": names[:3]},
            advice=["deploy inference/openvino (openvino, int8+bf16)"],
            warnings=["the machine was busy"],
        ),
        warnings=["Slim.prune starts from random weights <b>"],
        versions={"ppcls_slim": "0.1.0", "paddle": "3.3.1"},
        machine={"processor": "a processor", "cores": "2"},
        commands=[Command(what="Train again", line="ppcls-slim train -c " + 20 * "a_long_folder/" + "mine.yaml")],
    )


def smallest() -> Record:
    """A run of which nothing is known."""
    return Record(arch="ResNet18", output="output")
