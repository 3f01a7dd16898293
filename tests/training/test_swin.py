import pytest
import torch

from grounded_ram.detection.network import GroundingDINO
from grounded_ram.errors import WeightsError
from grounded_ram.ram.swin import SwinEncoder
from grounded_ram.training.swin import load_swin, look_around
from grounded_ram.training.tiny_detector import detector_config
from grounded_ram.training.tiny_ram import CONFIG


def test_heads_start_at_neighbours_of_their_own() -> None:
    swin = SwinEncoder(CONFIG)
    look_around(swin)
    tables = [p for n, p in swin.named_parameters() if n.endswith("relative_position_bias_table")]
    assert len(tables) == sum(CONFIG.depths)
    side, here = 2 * CONFIG.window - 1, CONFIG.window - 1  # of the table, and a cell's own place
    for table in tables:
        grid = table.detach().view(side, side, -1)
        best = {divmod(int(grid[..., head].argmax()), side) for head in range(grid.shape[-1])}
        assert len(best) == min(8, grid.shape[-1])
        assert all(max(abs(y - here), abs(x - here)) == 1 for y, x in best)


def test_the_two_networks_share_their_swin() -> None:
    torch.manual_seed(0)
    encoder = SwinEncoder(CONFIG).eval()
    backbone = GroundingDINO(detector_config(100)).backbone[0]
    backbone.eval()  # the module's returns nothing
    load_swin(backbone, encoder.state_dict())
    image = torch.randn(1, 3, CONFIG.image_size, CONFIG.image_size)
    with torch.inference_mode():
        maps = encoder(image).maps
        again = SwinEncoder(CONFIG).eval()
        load_swin(again, backbone.state_dict())
        for ours, theirs in zip(maps, again(image).maps, strict=True):
            torch.testing.assert_close(ours, theirs)
        tokens = backbone.patch_embed(image)
        size, tokens = tuple(tokens.shape[-2:]), tokens.flatten(2).mT
        # On the last stage's single window the detector's Swin still shifts, RAM's does not.
        for layer, expected in zip(backbone.layers[:-1], maps[:-1], strict=True):
            stage, height, width, tokens, *size = layer(tokens, *size)
            shaped = stage.mT.unflatten(2, (height, width))
            torch.testing.assert_close(shaped, expected, rtol=1e-4, atol=1e-4)


def test_weights_of_another_swin_are_refused() -> None:
    weights = SwinEncoder(CONFIG).state_dict()
    weights.pop("layers.1.blocks.0.mlp.fc1.weight")
    with pytest.raises(WeightsError, match=r"layers\.1\.blocks\.0\.mlp\.fc1\.weight"):
        load_swin(SwinEncoder(CONFIG), weights)
