"""``maskclr-edge train`` as a user types it."""

import json

import pytest
import yaml
from click.testing import CliRunner

pytest.importorskip("torch", reason="training needs PyTorch")
from maskclr_edge.checkpoint import read_checkpoint
from maskclr_edge.cli.main import cli, main

TINY = ["--set", "dim_feat=16", "--set", "dim_rep=16", "--set", "clip_len=8"]


def invoke(*arguments):
    return CliRunner().invoke(cli, ["train", *arguments], catch_exceptions=False)


def test_a_first_run_on_made_up_motions_and_its_continuation(tmp_path):
    out, report = tmp_path / "run", tmp_path / "report.json"
    result = invoke("made_up_tiny", "--out", str(out), "--set", "epochs=1", *TINY, "--json", str(report))
    assert result.exit_code == 0, result.output
    assert "made-up clips" in result.output and "maskclr-edge export" in result.output
    facts = json.loads(report.read_text())
    assert facts["made_up"] is True and facts["val"]["clips"] > 0 and facts["epochs"] == 1
    checkpoint = read_checkpoint(out / "best.safetensors")
    assert checkpoint.info["val"]["top1"] == pytest.approx(facts["val"]["top1"])
    again = invoke("made_up_tiny", "--out", str(out), "--set", "epochs=1", *TINY, "--resume", "--json", "-")
    assert json.loads(again.stdout)["history"] == facts["history"]  # nothing left to do, nothing lost


def test_a_run_starts_from_the_backbone_of_another(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    keys = ["--set", "epochs=1", *TINY]
    assert invoke("made_up_tiny", "--out", str(first), *keys).exit_code == 0
    frozen = ["--set", "lr_backbone=0", "--pretrained", str(first / "best.safetensors")]
    assert invoke("made_up_tiny", "--out", str(second), *keys, *frozen).exit_code == 0
    name = "backbone.blocks_st.0.attn_s.qkv.weight"
    before, after = (read_checkpoint(out / "best.safetensors").weights[name] for out in (first, second))
    assert (before == after).all()


def test_print_config_shows_what_would_run(tmp_path):
    result = invoke("penn_action_small", "--set", "epochs=7", "--data", "elsewhere.pkl", "--print-config")
    flat = yaml.safe_load(result.output)
    assert (flat["epochs"], flat["dataset"], flat["action_classes"]) == (7, "elsewhere.pkl", 15)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["made_up_tyni"], "did you mean made_up_tiny"),
        (["absent.yaml"], "absent.yaml"),
        (["made_up_tiny", "--set", "epoch=3"], "did you mean 'epochs'"),
        (["made_up_tiny", "--data", "absent.pkl"], "absent.pkl"),
        (["made_up_tiny", "--set", "action_classes=3"], "action_classes"),
        (["made_up_tiny", "--resume"], "no training state"),
        (["made_up_tiny", "--pretrained", "absent.bin"], "absent.bin"),
    ],
)
def test_mistakes_are_answered_in_one_line(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    code = main(["train", *arguments])
    message = capsys.readouterr().err
    assert code == 2 and said in message and message.count("\n") == 1


@pytest.mark.parametrize(("batch", "hint", "epochs"), [(40, "--resume", 2), (2, "start again", 0)])
def test_ctrl_c_says_how_to_go_on(tmp_path, monkeypatch, capsys, batch, hint, epochs):
    import maskclr_edge.training.loop as loop

    honest, calls = loop.training_batch, []

    def interrupt(*arguments):
        calls.append(1)
        if len(calls) == batch:
            raise KeyboardInterrupt
        return honest(*arguments)

    monkeypatch.setattr(loop, "training_batch", interrupt)
    code = main(["train", "made_up_tiny", "--out", str(tmp_path / "run"), *TINY])
    assert code == 130 and hint in capsys.readouterr().err
    if epochs:
        assert read_checkpoint(tmp_path / "run" / "latest.safetensors").info["epochs"] == epochs


def test_tensorboard_holds_the_figures_of_the_log(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    keys = ["--set", "epochs=2", "--set", "ema=0", *TINY]
    assert invoke("made_up_tiny", "--out", str(out), *keys, "--tensorboard").exit_code == 0
    events = EventAccumulator(str(out / "tensorboard")).Reload()
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [e.value for e in events.Scalars("epoch/loss")] == pytest.approx([line["loss"] for line in log])
    assert len(events.Scalars("step/lr")) == events.Scalars("epoch/loss")[-1].step
