"""Models of timm, with random weights; timm is a test dependency."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIZES = {
    "resnet18": 128, "mobilenetv3_small_100": 128, "efficientnet_b0": 128, "regnety_002": 128, "convnext_atto": 128,
    "vit_tiny_patch16_224": 224, "deit_tiny_patch16_224": 224, "mixer_s32_224": 224, "densenet121": 128,
}  # fmt: skip
"""Name -> height and width of the pictures that it is tried on: small ones where the model permits."""

# timm asks torchvision for boxes that nothing here has; without its compiled part even the import fails.
_LIBRARY = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _name):
        _LIBRARY.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def made(name: str, size: int | None = None, count: int = 2) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A model in ``eval()``, as if it had been trained, and some pictures; or ``transformer``, torch's own."""
    torch.manual_seed(0)
    if name == "transformer":
        module: nn.Module = nn.Transformer(64, 4, 2, 2, 128, batch_first=True)
        return module.eval(), (torch.randn(2, 7, 64), torch.randn(2, 5, 64))
    import timm

    small = {"img_size": size} if size is not None and SIZES[name] == 224 else {}
    module = timm.create_model(name, pretrained=False, **small)
    with torch.no_grad():
        for m in module.modules():
            if isinstance(m, nn.BatchNorm2d):
                m.weight.normal_(mean=1, std=0.3)
                m.bias.normal_(std=0.1)
                m.running_mean.normal_(std=0.1)  # type: ignore[union-attr]
                m.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
    pictures = torch.randn(count, 3, *[size or SIZES[name]] * 2)
    return module.eval(), (pictures,)
