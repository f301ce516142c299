"""LSQ from a float model to int8: which grids layers get, what their steps start from, and what is exported."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.qat_layers import input_quantizer, stored_scale, weight_quantizer
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.deploy.paddle_inference import Predictor
from ppcls_slim.deploy.targets import paddle_int8
from ppcls_slim.quant import convert, prepare
from ppcls_slim.quant.alpha_history import alpha_line, note_alphas
from ppcls_slim.quant.lsq_layers import LsqQuantizer, LsqWeightQuantizer
from ppcls_slim.quant.methods.lsq import largest_inputs

pytestmark = pytest.mark.paddle26

IMAGES = np.random.default_rng(0).standard_normal((8, 3, 12, 12)).astype("float32")


def built():
    paddle.seed(0)
    nn = paddle.nn
    with paddle.utils.unique_name.guard():
        model = nn.Sequential(
            nn.Conv2D(3, 6, 3), nn.ReLU(), nn.Conv2D(6, 6, 3, groups=6), nn.ReLU(), nn.Flatten(), nn.Linear(384, 5)
        )
    model.eval()
    return model


def quantized(**keys):
    model = built()
    settings = QuantConfig(name="lsq", calibration_batches=1, **keys)
    return model, prepare.quantize(model, settings, [paddle.to_tensor(IMAGES)], model)


def for_export(model, record):
    fresh = built()
    prepare.rebuild(fresh, record, for_export=True)
    model.eval()
    fresh.eval()
    convert.convert_weights(model, fresh, record)
    return fresh


def test_inputs_that_are_never_negative_get_the_unsigned_grid():
    model, record = quantized(activation_bits=4)
    assert record.layers == {"0": "signed", "2": "unsigned", "5": "unsigned"}
    assert "LSQ 1 signed and 2 unsigned" in record.summary()
    assert [input_quantizer(model[i]).positive for i in (0, 2, 5)] == [7, 15, 15]


def test_signed_everywhere_if_asked_for():
    _, record = quantized(lsq={"form": "signed"})
    assert set(record.layers.values()) == {"signed"}


@pytest.mark.parametrize("kind", ["channel_wise_abs_max", "abs_max"])
def test_steps_start_as_in_the_paper(kind):
    model, _ = quantized(weight_bits=3, activation_bits=3, weight_quantize_type=kind)
    step = input_quantizer(model[0]).step.item()
    assert step == pytest.approx(2 * np.abs(IMAGES).mean() / np.sqrt(3), rel=1e-5)
    axes = {"abs_max": (0, 1), "channel_wise_abs_max": 0}[kind]  # a linear weight is [in, out]
    expected = 2 * np.abs(model[5].weight.numpy()).mean(axis=axes) / np.sqrt(3)
    np.testing.assert_allclose(weight_quantizer(model[5]).step.numpy(), np.reshape(expected, -1), rtol=1e-5)


@pytest.mark.parametrize("init", ["auto", "observer"])
def test_steps_of_eight_bits_start_from_the_observer(init):
    model, _ = quantized(lsq={"init": init}, observer="min_max")
    assert input_quantizer(model[0]).step.item() == pytest.approx(np.abs(IMAGES).max() / 127, rel=1e-5)
    expected = 2 * np.abs(model[0].weight.numpy()).max(axis=(1, 2, 3)) / 127
    np.testing.assert_allclose(weight_quantizer(model[0]).step.numpy(), expected, rtol=1e-5)


def train(model, steps, rate=0.01):
    optimizer = paddle.optimizer.Momentum(rate, 0.9, parameters=model.parameters())
    labels = paddle.to_tensor(np.arange(8) % 5)
    model.train()
    losses = []
    for _ in range(steps):
        loss = paddle.nn.functional.cross_entropy(model(paddle.to_tensor(IMAGES)), labels)
        loss.backward()
        optimizer.step()
        optimizer.clear_grad()
        losses.append(loss.item())
    return losses


def test_training_moves_every_step_and_lowers_the_loss():
    model, record = quantized(weight_bits=2, activation_bits=2)
    history = {}
    note_alphas(model, record, 0, history)
    before = {layer.where: layer.step.numpy() for layer in model.sublayers() if isinstance(layer, LsqQuantizer)}
    losses = train(model, 30)
    note_alphas(model, record, 1, history)
    assert losses[-1] < 0.8 * losses[0]
    for layer in model.sublayers():
        if isinstance(layer, LsqQuantizer):
            assert (layer.step.numpy() != before[layer.where]).all(), layer.where
    assert list(history) == ["0", "2", "5"]
    assert all(first[1] != last[1] for first, last in history.values())
    assert alpha_line(history, "lsq").startswith("LSQ: 3 alphas, ")


def test_the_learning_rate_of_the_steps_is_a_multiple_of_the_models():
    model, _ = quantized(lsq={"learning_rate": 0.0})
    before = weight_quantizer(model[2]).step.numpy()
    train(model, 2)
    np.testing.assert_array_equal(weight_quantizer(model[2]).step.numpy(), before)


def test_a_checkpoint_gives_the_same_model_again():
    model, record = quantized(weight_bits=4, activation_bits=4)
    train(model, 3)
    again = built()
    prepare.rebuild(again, type(record).from_json(record.to_json()))
    missing, unexpected = again.set_state_dict(model.state_dict())
    assert not missing and not unexpected
    model.eval()
    again.eval()
    np.testing.assert_array_equal(again(paddle.to_tensor(IMAGES)).numpy(), model(paddle.to_tensor(IMAGES)).numpy())


@pytest.mark.parametrize("kind", ["channel_wise_abs_max", "abs_max"])
def test_what_is_exported_are_the_learned_steps_and_the_weights_on_their_grid(kind):
    model, record = quantized(weight_quantize_type=kind, lsq={"form": "signed"})
    train(model, 10)
    fresh = for_export(model, record)
    images = paddle.to_tensor(IMAGES)
    np.testing.assert_allclose(fresh(images).numpy(), model(images).numpy(), rtol=1e-5, atol=1e-5)
    for index in (0, 2, 5):
        learned = weight_quantizer(model[index])
        assert isinstance(learned, LsqWeightQuantizer)
        scale = stored_scale(weight_quantizer(fresh[index]).quantizer).numpy()
        np.testing.assert_array_equal(scale, learned.largest)
        assert stored_scale(input_quantizer(fresh[index])).item() == pytest.approx(
            127 * input_quantizer(model[index]).step.item()
        )


def test_the_exported_files_run_plainly_compute_what_was_trained(tmp_path):
    model, record = quantized(lsq={"form": "signed"})
    train(model, 10)
    model.eval()
    expected = model(paddle.to_tensor(IMAGES)).numpy()
    paddle_int8.save(for_export(model, record), record, IMAGES, [3, 12, 12], tmp_path)
    plain = Predictor(tmp_path, onednn=False)(IMAGES)
    np.testing.assert_allclose(plain, expected, atol=1e-5 * np.abs(expected).max())


def test_a_step_that_ran_away_stops_training_with_the_layers_name():
    model, _ = quantized()
    weight_quantizer(model[2]).step.set_value(paddle.full([6], -1.0))
    model.train()
    with pytest.raises(SlimError, match=r"a step of 2 \(weight\) ran to -1"):
        model(paddle.to_tensor(IMAGES))
    with pytest.raises(SlimError, match=r"a step of 2 \(weight\)"):
        largest_inputs(model)


def test_a_channel_of_zeros_stays_zero():
    model = built()
    model[0].weight.set_value(model[0].weight * paddle.to_tensor([1.0, 0, 1, 1, 1, 1]).reshape([6, 1, 1, 1]))
    settings = QuantConfig(name="lsq", calibration_batches=1)
    prepare.quantize(model, settings, [paddle.to_tensor(IMAGES)], model)
    quantizer = weight_quantizer(model[0])
    assert (quantizer(model[0].weight)[1].numpy() == 0).all()
    assert np.isfinite(model(paddle.to_tensor(IMAGES)).numpy()).all()
