"""Whole training runs on made-up clips: they learn, resume exactly, and stop with one clear line."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch")
from maskclr_edge.checkpoint import read_checkpoint  # noqa: E402
from maskclr_edge.data import made_up_clips  # noqa: E402
from maskclr_edge.errors import ConfigError, DataError, TrainingError  # noqa: E402
from maskclr_edge.training import TrainConfig, find_config, train  # noqa: E402
from maskclr_edge.training import loop as loop_module  # noqa: E402

METHOD = {"msk_type": "agpm", "msk_path_start_epoch": 1, "ce_type": "avgce", "scl": 0.1, "ccl": 0.1}


@pytest.fixture(scope="module")
def made_up():
    return made_up_clips(120, seed=1, classes=("squat", "pullup", "jumping_jacks"))


def config_of(**keys):
    small = {
        "action_classes": 3,
        "epochs": 3,
        "batch_size": 16,
        "clip_len": 12,
        "dim_feat": 16,
        "dim_rep": 16,
    }
    return TrainConfig.from_yaml(find_config("made_up_tiny"), small | keys)


def losses(out):
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_run_learns_and_its_checkpoint_says_how_it_was_made(made_up, tmp_path):
    result = train(config_of(epochs=8, **METHOD), made_up, tmp_path / "run")
    assert result.val is not None and result.val.top1 > 60  # three classes: chance is 33
    checkpoint = read_checkpoint(result.checkpoint)
    assert checkpoint.contract.class_names == made_up.class_names
    assert checkpoint.info["made_up"] is True
    assert checkpoint.info["val"]["top1"] == pytest.approx(result.val.top1)
    assert checkpoint.info["config"]["msk_type"] == "agpm"
    history = losses(tmp_path / "run")
    assert history[-1] < history[1]  # from the first epoch with both pathways


@pytest.mark.full
def test_classes_that_take_two_reach_the_bundle(tmp_path):
    pytest.importorskip("onnx", reason="exporting needs the extra export")
    from maskclr_edge.deploy import export_bundle

    made_up = made_up_clips(24, seed=1, classes=("squat", "pullup", "jumping_jacks"))
    squat = made_up.class_names.index("squat")
    beside = np.array((40, 0, 0), np.float32)
    pairs = [
        dataclasses.replace(one, keypoints=np.concatenate((one.keypoints, one.keypoints + beside)))
        if one.label == squat
        else one
        for one in made_up.annotations
    ]
    data = dataclasses.replace(made_up, annotations=pairs)
    result = train(config_of(epochs=1, persons=2, batch_size=4), data, tmp_path / "run")
    checkpoint = read_checkpoint(result.checkpoint)
    assert checkpoint.contract.two_person == ("squat",)
    bundle = export_bundle(checkpoint, tmp_path / "bundle")
    assert bundle.contract.two_person == ("squat",)


@pytest.mark.parametrize("keys", [{}, METHOD | {"ema": 0.99, "holdout": 0.2, "dropout_ratio": 0.3}])
def test_a_killed_run_resumes_to_the_same_losses_and_weights(made_up, tmp_path, keys):
    class Killed(Exception):
        pass

    def kill(event):
        if event.kind == "step" and event.epoch == 3:
            raise Killed

    config = config_of(**keys)
    whole = train(config, made_up, tmp_path / "whole")
    with pytest.raises(Killed):
        train(config, made_up, tmp_path / "killed", observe=kill)
    assert len(losses(tmp_path / "killed")) == 2
    resumed = train(config, made_up, tmp_path / "killed", resume=True)
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    first, second = read_checkpoint(whole.checkpoint).weights, read_checkpoint(resumed.checkpoint).weights
    for name, weight in first.items():
        np.testing.assert_array_equal(weight, second[name], err_msg=name)


def test_accumulated_batches_give_the_same_cross_entropy_step(made_up, tmp_path):
    # batch statistics differ between parts of a batch, so the losses agree only roughly
    for accumulate in (1, 2):
        train(config_of(epochs=1, accumulate=accumulate), made_up, tmp_path / str(accumulate))
    assert losses(tmp_path / "1")[0] == pytest.approx(losses(tmp_path / "2")[0], rel=0.05)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(made_up, tmp_path, monkeypatch):
    config, out = config_of(), tmp_path / "run"
    honest = loop_module.training_batch

    def spoil(store, indices, settings, rng):
        clips = honest(store, indices, settings, rng)
        return clips * np.float32("nan") if spoiled else clips

    spoiled = False

    def watch(event):
        nonlocal spoiled
        spoiled = event.kind == "epoch" and event.epoch == 2

    monkeypatch.setattr(loop_module, "training_batch", spoil)
    with pytest.raises(TrainingError, match="epoch 3, step 1"):
        train(config, made_up, out, observe=watch)
    kept = read_checkpoint(out / "best.safetensors")
    assert kept.info["epochs"] == 2
    assert all(np.isfinite(weight).all() for weight in kept.weights.values())


def test_what_does_not_fit_is_refused_in_one_line(made_up, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(DataError, match=r"splits.*train"):
        train(config_of(data_split="xsub"), made_up, out)
    with pytest.raises(DataError, match="action_classes"):
        train(config_of(action_classes=4), made_up, out)
    few = dataclasses.replace(
        made_up, splits={"train": tuple(a.name for a in made_up.annotations if a.label != 1), "val": ()}
    )
    with pytest.raises(DataError, match="pullup"):
        train(config_of(), few, out)
    train(config_of(epochs=1), made_up, out)
    with pytest.raises(ConfigError, match="--resume"):
        train(config_of(epochs=1), made_up, out)
    with pytest.raises(ConfigError, match=r"lr_head.*batch_size|batch_size.*lr_head"):
        train(config_of(epochs=1, lr_head=0.1, batch_size=8), made_up, out, resume=True)
    with pytest.raises(DataError, match="other clips"):
        train(config_of(epochs=1), made_up_clips(90, seed=2, classes=made_up.class_names), out, resume=True)


def test_a_full_disk_leaves_the_last_good_files(made_up, tmp_path, monkeypatch):
    out = tmp_path / "run"
    train(config_of(epochs=1), made_up, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("maskclr_edge.checkpoint.file.write_atomically", full)
    with pytest.raises(Exception, match="No space left"):
        train(config_of(epochs=1, seed=1), made_up, tmp_path / "other")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def oneshot_set(count=90):
    """Made-up clips of six classes, of which the last two are exemplars' only: one exemplar each."""
    names = ("squat", "pullup", "jumping_jacks", "situp", "bench_press", "jump_rope")
    data = made_up_clips(count, seed=2, classes=names)
    novel = [one for one in data.annotations if one.label >= 4]
    exemplars = [next(one.name for one in novel if one.label == label) for label in (4, 5)]
    rest = tuple(one.name for one in novel if one.name not in exemplars)
    return dataclasses.replace(data, splits={"oneshot_train": tuple(exemplars), "oneshot_val": rest})


def test_oneshot_training_sees_no_exemplar_class_and_names_its_clips(tmp_path):
    data = oneshot_set()
    config = config_of(model_version="embed", action_classes=6, epochs=6, **METHOD)
    result = train(config, data, tmp_path / "run")
    assert result.val is not None and result.val.count == len(data.splits["oneshot_val"])
    assert result.val.top1 > 60  # two classes: chance is 50
    checkpoint = read_checkpoint(result.checkpoint)
    assert checkpoint.config.head == "embed"
    assert checkpoint.info["clips"] == sum(one.label < 4 for one in data.annotations)
    assert checkpoint.info["val"]["split"] == "oneshot_val"
    history = losses(tmp_path / "run")
    assert history[-1] < history[1]
    assert "train_top1" not in result.history[-1]


def test_oneshot_training_without_exemplars_reports_no_val_and_refuses_what_it_cannot_use(tmp_path):
    data = made_up_clips(60, seed=2, classes=("squat", "pullup", "jumping_jacks", "situp", "bench_press"))
    config = config_of(model_version="embed", action_classes=5, epochs=1)
    result = train(config, data, tmp_path / "run")  # labels 1 to 4: label 0 is one of NTU 120's novel classes
    assert result.val is None
    assert read_checkpoint(result.checkpoint).info["clips"] == sum(one.label > 0 for one in data.annotations)
    with pytest.raises(ConfigError, match="holdout"):
        train(config_of(model_version="embed", holdout=0.2), data, tmp_path / "other")
    few = made_up_clips(20, seed=2, classes=("squat", "pullup"))
    with pytest.raises(DataError, match="file of all classes"):
        train(config, few, tmp_path / "other")


@pytest.mark.full
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compiler's own imports
def test_a_compiled_run_has_the_losses_of_an_eager_one(made_up, tmp_path):
    if not shutil.which("c++"):
        pytest.skip("torch.compile needs a C++ compiler on a CPU")
    config = config_of(epochs=2, depth=1, dropout_ratio=0.0, **METHOD)
    train(config, made_up, tmp_path / "eager")
    train(dataclasses.replace(config, compile=True), made_up, tmp_path / "compiled")
    np.testing.assert_allclose(losses(tmp_path / "compiled"), losses(tmp_path / "eager"), rtol=1e-3)
