"""The command `diff2lip convert-syncnet`."""

import torch
from helpers.recorded_syncnet2016 import made_up_weights, write_legacy

from diff2lip_diffusers.cli import main
from diff2lip_diffusers.evaluation.syncnet2016.network import load_syncnet2016


def test_converts_and_says_so(tmp_path, capfd):
    write_legacy(tmp_path / "syncnet_v2.model", made_up_weights())
    output = tmp_path / "syncnet.safetensors"
    assert main(["convert-syncnet", str(tmp_path / "syncnet_v2.model"), "--output", str(output)]) == 0
    assert capfd.readouterr().out.startswith(f"{output}: converted;")
    assert torch.equal(load_syncnet2016(output).netfclip[3].bias, made_up_weights()["netfclip.3.bias"])


def test_other_files_end_in_one_line(tmp_path, capfd):
    source = tmp_path / "other.pth"
    torch.save({"a": torch.zeros(1)}, source)
    assert main(["convert-syncnet", str(source), "--output", str(tmp_path / "out.safetensors")]) == 1
    error = capfd.readouterr().err
    assert error.startswith(f"diff2lip convert-syncnet: {source}: is no SyncNet of 2016;") and error.count("\n") == 1
    assert not (tmp_path / "out.safetensors").exists()
