"""Networks that read faces and eyes, written from their papers.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn

__all__ = ["CavaFace", "EyeNet", "FacePair", "HeadPose", "RetinaFace"]


def _layer(given: int, taken: int, size: int = 1, stride: int = 1, groups: int = 1) -> list[Any]:
    return [
        nn.Conv2d(given, taken, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(taken),
        nn.ReLU6(),
    ]


class _Inverted(nn.Module):
    def __init__(self, given: int, taken: int, stride: int, times: int) -> None:
        super().__init__()
        wide = given * times
        self.layers = nn.Sequential(
            *_layer(given, wide),
            *_layer(wide, wide, 3, stride, wide),
            *_layer(wide, taken)[:2],
        )
        self.adds = stride == 1 and given == taken

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found = self.layers(given)
        return given + found if self.adds else found


class FacePair(nn.Module):
    """MobileFaceNet (Chen et al., 2018) on two faces and their mirror images at once."""

    def __init__(self) -> None:
        super().__init__()
        layers = [*_layer(3, 64, 3, 2), *_layer(64, 64, 3, 1, 64), *_layer(64, 64)]
        given = 64
        for times, taken, count, stride in (
            *((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1)),
            *((4, 128, 1, 2), (2, 128, 2, 1)),
        ):
            for block in range(count):
                layers.append(_Inverted(given, taken, stride if block == 0 else 1, times))
                given = taken
        layers += [*_layer(128, 512), nn.Conv2d(512, 512, 7, groups=512, bias=False)]
        layers += [nn.BatchNorm2d(512), nn.Conv2d(512, 128, 1), nn.BatchNorm2d(128)]
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Two of [1, 3, 112, 112] to [2, 128]."""
        parts = []
        for image in (first, second):
            image = (image - self.mean) / self.deviation
            parts += [image, torch.flip(image, [-1])]
        found = self.body(torch.cat(parts, 0))
        pair = [found[:1] + found[1:2], found[2:3] + found[3:]]
        return torch.stack(pair, 1).reshape(2, -1)


class _Residual(nn.Module):
    def __init__(self, given: int, taken: int) -> None:
        super().__init__()
        half = taken // 2
        self.layers = nn.Sequential(
            *(nn.BatchNorm2d(given), nn.ReLU(), nn.Conv2d(given, half, 1)),
            *(nn.BatchNorm2d(half), nn.ReLU(), nn.Conv2d(half, half, 3, 1, 1)),
            *(nn.BatchNorm2d(half), nn.ReLU(), nn.Conv2d(half, taken, 1)),
        )
        self.beside = nn.Conv2d(given, taken, 1) if given != taken else nn.Identity()

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        return self.layers(given) + self.beside(given)


class _Hourglass(nn.Module):
    def __init__(self, depth: int, wide: int) -> None:
        super().__init__()
        self.up = _Residual(wide, wide)
        inner = _Hourglass(depth - 1, wide) if depth > 1 else _Residual(wide, wide)
        self.low = nn.Sequential(
            nn.MaxPool2d(2, 2), _Residual(wide, wide), inner, _Residual(wide, wide)
        )

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        low = nn.functional.interpolate(self.low(given), given.shape[2:])
        return self.up(given) + low


def _stem(given: int, taken: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(given, 64, 7, stride, 3), nn.BatchNorm2d(64), nn.ReLU(), _Residual(64, 128)),
        *(nn.MaxPool2d(2, 2), _Residual(128, 128), _Residual(128, taken)),
    )


class EyeNet(nn.Module):
    """Landmarks and direction of an eye by stacked hourglasses (Park et al., 2018).

    Args:
        stacks: hourglasses.
        wide: channels of features.
        points: landmarks.
    """

    def __init__(self, stacks: int = 3, wide: int = 32, points: int = 34) -> None:
        super().__init__()
        self.stem, self.gaze_stem = _stem(1, wide, 1), _stem(wide, wide, 2)
        self.glasses = nn.ModuleList(_Hourglass(4, wide) for _ in range(stacks))
        self.features = nn.ModuleList(
            nn.Sequential(
                *(_Residual(wide, wide), nn.Conv2d(wide, wide, 1)),
                *(nn.BatchNorm2d(wide), nn.ReLU()),
            )
            for _ in range(stacks)
        )
        self.outs = nn.ModuleList(nn.Conv2d(wide, points, 1) for _ in range(stacks))
        self.again = nn.ModuleList(nn.Conv2d(wide, wide, 1) for _ in range(stacks - 1))
        self.back = nn.ModuleList(nn.Conv2d(points, wide, 1) for _ in range(stacks - 1))
        values = wide * 12 * 20 + 2 * points
        self.gaze = nn.Sequential(nn.Linear(values, 256), nn.ReLU(), nn.Linear(256, 2))
        down, across = torch.meshgrid(torch.arange(48.0), torch.arange(80.0), indexing="ij")
        self.register_buffer("across", across.reshape(1, 1, -1))
        self.register_buffer("down", down.reshape(1, 1, -1))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[1, 96, 160] to heat maps of all stacks, [1, points, 2] and [1, 2]."""
        found = self.stem(image.unsqueeze(1))
        gaze, maps = self.gaze_stem(found).flatten(1), []
        for level, glass in enumerate(self.glasses):
            feature = self.features[level](glass(found))
            maps.append(self.outs[level](feature))
            if level + 1 < len(self.glasses):
                found = found + self.back[level](maps[-1]) + self.again[level](feature)
        weights = (100 * maps[-1].flatten(2)).softmax(-1)
        places = [(weights * one).sum(-1) for one in (self.down, self.across)]
        points = torch.stack(places, -1)
        return torch.stack(maps, 1), points, self.gaze(torch.cat([gaze, points.flatten(1)], 1))


class _Excited(nn.Module):
    def __init__(self, given: int, taken: int, stride: int) -> None:
        super().__init__()
        self.beside: nn.Module = nn.MaxPool2d(1, stride)
        if given != taken:
            convolution = nn.Conv2d(given, taken, 1, stride, bias=False)
            self.beside = nn.Sequential(convolution, nn.BatchNorm2d(taken))
        self.layers = nn.Sequential(
            *(nn.BatchNorm2d(given), nn.Conv2d(given, taken, 3, 1, 1, bias=False)),
            *(nn.BatchNorm2d(taken), nn.PReLU(taken)),
            *(nn.Conv2d(taken, taken, 3, stride, 1, bias=False), nn.BatchNorm2d(taken)),
        )
        self.gate = nn.Sequential(
            *(nn.AdaptiveAvgPool2d(1), nn.Conv2d(taken, taken // 16, 1, bias=False), nn.ReLU()),
            *(nn.Conv2d(taken // 16, taken, 1, bias=False), nn.Sigmoid()),
        )

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found = self.layers(given)
        return found * self.gate(found) + self.beside(given)


class CavaFace(nn.Module):
    """IR-SE-100 (Deng et al., 2019; Hu et al., 2018): a face to a vector of length 1."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)]
        layers.append(nn.PReLU(64))
        given = 64
        for taken, count in ((64, 3), (128, 13), (256, 30), (512, 3)):
            for block in range(count):
                layers.append(_Excited(given, taken, 1 if block else 2))
                given = taken
        layers += [nn.BatchNorm2d(512), nn.Flatten(), nn.Linear(512 * 7 * 7, 512)]
        self.body = nn.Sequential(*layers, nn.BatchNorm1d(512))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[1, 3, 112, 112] to [1, 512]."""
        found = self.body((image * 255 - 127.5) / 128)
        return found / (torch.norm(found, dim=1, keepdim=True) + 1e-9)


def _leaky(
    given: int, taken: int, size: int = 3, stride: int = 1, groups: int = 1, slope: float = 0.1
) -> list[nn.Module]:
    convolution = nn.Conv2d(given, taken, size, stride, size // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(taken), nn.LeakyReLU(slope)]


class _Context(nn.Module):
    """SSH (Najibi et al., 2017): what three sizes see, side by side."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        quarter = wide // 4
        self.near = nn.Sequential(*_leaky(wide, wide // 2)[:2])
        self.first = nn.Sequential(*_leaky(wide, quarter))
        self.middle = nn.Sequential(*_leaky(quarter, quarter)[:2])
        self.far = nn.Sequential(*_leaky(quarter, quarter), *_leaky(quarter, quarter)[:2])

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        first = self.first(given)
        return torch.cat([self.near(given), self.middle(first), self.far(first)], 1).relu()


class RetinaFace(nn.Module):
    """RetinaFace (Deng et al., 2019) on MobileNet V1 of a quarter of the width."""

    def __init__(self) -> None:
        super().__init__()
        widths = (8, 16, 32, 32, 64, 64, *(128,) * 6, 256, 256)
        layers = [nn.Sequential(*_leaky(3, 8, 3, 2))]
        for number, (given, taken) in enumerate(pairwise(widths)):
            stride = 2 if number in (1, 3, 5, 11) else 1
            depthwise = _leaky(given, given, 3, stride, given)
            layers.append(nn.Sequential(*depthwise, *_leaky(given, taken, 1)))
        bounds = (0, 6, 12, 14)
        self.stages = nn.ModuleList(nn.Sequential(*layers[a:b]) for a, b in pairwise(bounds))
        self.across = nn.ModuleList(nn.Sequential(*_leaky(wide, 64, 1)) for wide in (64, 128, 256))
        self.join = nn.ModuleList(nn.Sequential(*_leaky(64, 64)) for _ in range(2))
        self.context = nn.ModuleList(_Context(64) for _ in range(3))
        self.heads = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(64, 2 * values, 1) for _ in range(3)) for values in (4, 2, 10)
        )

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[1, 3, height, width] to boxes, scores and five points of [1, anchors, …]."""
        mean = torch.tensor([104.0, 117.0, 123.0]).view(1, 3, 1, 1)
        found, levels = torch.flip(image, [1]) * 255 - mean, []
        for stage, across in zip(self.stages, self.across, strict=True):
            found = stage(found)
            levels.append(across(found))
        for level in (1, 0):
            bigger = nn.functional.interpolate(levels[level + 1], levels[level].shape[2:])
            levels[level] = self.join[level](levels[level] + bigger)
        levels = [context(one) for context, one in zip(self.context, levels, strict=True)]
        boxes, scores, points = (
            torch.cat(
                [
                    head(one).permute(0, 2, 3, 1).reshape(1, -1, values)
                    for head, one in zip(heads, levels, strict=True)
                ],
                1,
            )
            for heads, values in zip(self.heads, (4, 2, 10), strict=True)
        )
        return boxes, scores.softmax(-1), points


class HeadPose(nn.Module):
    """6DRepNet (Hempel et al., 2022): RepVGG-B1g2, its layers merged, and a turn of six numbers."""

    def __init__(self) -> None:
        super().__init__()
        import timm
        from timm.utils.model import reparameterize_model

        # timm has four groups and not two.
        body: Any = timm.create_model("repvgg_b1g4", num_classes=6).eval()
        for layer in body.modules():
            if isinstance(layer, nn.Conv2d) and layer.groups > 1:
                layer.groups //= 2
                wide = layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size
                layer.weight = nn.Parameter(torch.randn(wide) * 0.02)
        self.body: Any = reparameterize_model(body)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[1, 3, height, width] to [1, 3, 3]."""
        found = self.body(image)
        first, beside = self._unit(found[:, :3]), found[:, 3:]
        third = self._unit(torch.linalg.cross(first, beside, dim=1))
        return torch.stack([first, torch.linalg.cross(third, first, dim=1), third], 2)

    @staticmethod
    def _unit(vector: torch.Tensor) -> torch.Tensor:
        return vector / vector.square().sum(1, keepdim=True).sqrt().clamp(min=1e-8)
