"""Detectors that ultralytics does not build, with the heads that Qualcomm measured them with.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["YoloV5Face", "YoloV6", "YoloV7Tiny", "YoloX"]


def _layer(
    given: int, taken: int, size: int = 1, stride: int = 1, slope: float | None = None
) -> nn.Sequential:
    """A convolution with SiLU, or with LeakyReLU of a slope."""
    return nn.Sequential(
        nn.Conv2d(given, taken, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(taken),
        nn.SiLU() if slope is None else nn.LeakyReLU(slope),
    )


def _best(
    middles: torch.Tensor, sizes: torch.Tensor, scores: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Corners, best scores and classes; the first of the scores is that there is an object."""
    half = sizes / 2
    there, classes = scores.split_with_sizes([1, scores.shape[-1] - 1], -1)
    best, index = classes.max(-1)
    corners = torch.cat([middles - half, middles + half], -1)
    return corners, best * there.squeeze(-1), index.to(torch.uint8)


class _Csp(nn.Module):
    def __init__(self, given: int, taken: int, blocks: int, shortcut: bool) -> None:
        super().__init__()
        wide = taken // 2
        self.left, self.right = _layer(given, wide), _layer(given, wide)
        self.blocks = nn.ModuleList(
            nn.Sequential(_layer(wide, wide), _layer(wide, wide, 3)) for _ in range(blocks)
        )
        self.join, self.shortcut = _layer(taken, taken), shortcut

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        left = self.left(given)
        for block in self.blocks:
            left = block(left) + left if self.shortcut else block(left)
        return self.join(torch.cat([left, self.right(given)], 1))


class _Pyramid(nn.Module):
    """Spatial pyramid pooling."""

    def __init__(self, given: int) -> None:
        super().__init__()
        self.narrow = _layer(given, given // 2)
        self.pools = nn.ModuleList(nn.MaxPool2d(size, 1, size // 2) for size in (5, 9, 13))
        self.join = _layer(2 * given, given)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found = self.narrow(given)
        return self.join(torch.cat([found, *(pool(found) for pool in self.pools)], 1))


class YoloX(nn.Module):
    """YOLOX-S (Ge et al., 2021)."""

    def __init__(self, classes: int = 80) -> None:
        super().__init__()
        self.stem = _layer(12, 32, 3)
        self.body = nn.ModuleList(
            (
                nn.Sequential(
                    *(_layer(32, 64, 3, 2), _Csp(64, 64, 1, True)),
                    *(_layer(64, 128, 3, 2), _Csp(128, 128, 3, True)),
                ),
                nn.Sequential(_layer(128, 256, 3, 2), _Csp(256, 256, 3, True)),
                nn.Sequential(_layer(256, 512, 3, 2), _Pyramid(512), _Csp(512, 512, 1, False)),
            )
        )
        self.reduce = nn.ModuleList((_layer(512, 256), _layer(256, 128)))
        self.down = nn.ModuleList((_layer(128, 128, 3, 2), _layer(256, 256, 3, 2)))
        shapes = ((512, 256), (256, 128), (256, 256), (512, 512))
        self.join = nn.ModuleList(_Csp(*one, 1, False) for one in shapes)
        self.stems = nn.ModuleList(_layer(wide, 128) for wide in (128, 256, 512))
        self.towers = nn.ModuleList(
            nn.Sequential(_layer(128, 128, 3), _layer(128, 128, 3)) for _ in range(6)
        )
        outs = (classes,) * 3 + (4,) * 3 + (1,) * 3
        self.heads = nn.ModuleList(nn.Conv2d(128, out, 1) for out in outs)

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """[1, 3, 640, 640] to 128, 256 and 512 channels at strides of 8, 16 and 32."""
        rows = (image[..., ::2, :], image[..., 1::2, :])
        parts = [one[..., start::2] for start in (0, 1) for one in rows]
        near = self.body[0](self.stem(torch.cat(parts, 1)))
        middle = self.body[1](near)
        far = self.reduce[0](self.body[2](middle))
        up = nn.functional.interpolate
        middle = self.reduce[1](self.join[0](torch.cat([up(far, scale_factor=2), middle], 1)))
        near = self.join[1](torch.cat([up(middle, scale_factor=2), near], 1))
        middle = self.join[2](torch.cat([self.down[0](near), middle], 1))
        return [near, middle, self.join[3](torch.cat([self.down[1](middle), far], 1))]

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[1, 3, height, width], 0 to 1, to corners, best scores and classes."""
        boxes, scores, grids, strides = [], [], [], []
        for level, found in enumerate(self.features(image * 255)):
            found = self.stems[level](found)
            classes = self.heads[level](self.towers[level](found)).sigmoid()
            place = self.towers[level + 3](found)
            there = self.heads[level + 6](place).sigmoid()
            boxes.append(self.heads[level + 3](place).flatten(2))
            scores.append(torch.cat([there, classes], 1).flatten(2))
            height, width = found.shape[2:]
            down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            grids.append(torch.stack([across, down], 2).view(1, -1, 2))
            strides.append(torch.full((1, height * width, 1), 8.0 * 2**level))
        box = torch.cat(boxes, 2).permute(0, 2, 1)
        score = torch.cat(scores, 2).permute(0, 2, 1)
        grid, stride = torch.cat(grids, 1).float(), torch.cat(strides, 1)
        return _best((box[..., :2] + grid) * stride, box[..., 2:].exp() * stride, score)


class _Elan(nn.Module):
    """Four layers of one width, side by side."""

    def __init__(self, given: int, wide: int, taken: int) -> None:
        super().__init__()
        self.beside, self.first = _layer(given, wide, slope=0.1), _layer(given, wide, slope=0.1)
        self.second, self.third = (_layer(wide, wide, 3, slope=0.1) for _ in range(2))
        self.join = _layer(4 * wide, taken, slope=0.1)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        first = self.first(given)
        second = self.second(first)
        return self.join(torch.cat([self.third(second), second, first, self.beside(given)], 1))


class _CspPyramid(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.beside, self.first = (_layer(512, 256, slope=0.1) for _ in range(2))
        self.pools = nn.ModuleList(nn.MaxPool2d(size, 1, size // 2) for size in (13, 9, 5))
        self.narrow, self.join = _layer(1024, 256, slope=0.1), _layer(512, 256, slope=0.1)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found = self.first(given)
        pooled = self.narrow(torch.cat([*(pool(found) for pool in self.pools), found], 1))
        return self.join(torch.cat([pooled, self.beside(given)], 1))


class YoloV7Tiny(nn.Module):
    """YOLOv7-tiny (Wang et al., 2022) for pictures of 640 by 640."""

    def __init__(self, classes: int = 80, size: int = 640) -> None:
        super().__init__()
        stem = (_layer(3, 32, 3, 2, 0.1), _layer(32, 64, 3, 2, 0.1), _Elan(64, 32, 64))
        pool = nn.MaxPool2d(2, 2)
        self.body = nn.ModuleList(
            (
                nn.Sequential(*stem, pool, _Elan(64, 64, 128)),
                nn.Sequential(pool, _Elan(128, 128, 256)),
                nn.Sequential(pool, _Elan(256, 256, 512), _CspPyramid()),
            )
        )
        one_to_one = ((256, 128), (256, 128), (128, 64), (128, 64))
        self.route = nn.ModuleList(_layer(*one, slope=0.1) for one in one_to_one)
        shapes = ((256, 64, 128), (128, 32, 64), (256, 64, 128), (512, 128, 256))
        self.join = nn.ModuleList(_Elan(*one) for one in shapes)
        self.down = nn.ModuleList((_layer(64, 128, 3, 2, 0.1), _layer(128, 256, 3, 2, 0.1)))
        self.last = nn.ModuleList(_layer(w, 2 * w, 3, slope=0.1) for w in (64, 128, 256))
        values = 5 + classes
        self.heads = nn.ModuleList(nn.Conv2d(2 * w, 3 * values, 1) for w in (64, 128, 256))
        self.values = values
        for level in range(3):
            height = size // 8 // 2**level
            down, across = torch.meshgrid(torch.arange(height), torch.arange(height), indexing="ij")
            grid = torch.stack([across, down], 2).view(1, 1, height, height, 2).float()
            self.register_buffer(f"grid_{level}", grid)
            self.register_buffer(f"anchors_{level}", torch.rand(1, 3, 1, 2) * 100)

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """[1, 3, size, size] to the three scales before their heads."""
        near = self.body[0](image)
        middle = self.body[1](near)
        far = self.body[2](middle)
        up = nn.functional.interpolate
        joined = torch.cat([self.route[1](middle), up(self.route[0](far), scale_factor=2)], 1)
        middle = self.join[0](joined)
        joined = torch.cat([self.route[3](near), up(self.route[2](middle), scale_factor=2)], 1)
        near = self.join[1](joined)
        middle = self.join[2](torch.cat([self.down[0](near), middle], 1))
        far = self.join[3](torch.cat([self.down[1](middle), far], 1))
        return [last(x) for last, x in zip(self.last, (near, middle, far), strict=True)]

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[1, 3, size, size], 0 to 1, to corners, best scores and classes."""
        parts: list[tuple[torch.Tensor, ...]] = []
        for level, found in enumerate(self.features(image)):
            found = self.heads[level](found).sigmoid()
            height, width = found.shape[2:]
            found = found.reshape(1, 3, self.values, height, width).permute(0, 1, 3, 4, 2)
            grid, anchors = getattr(self, f"grid_{level}"), getattr(self, f"anchors_{level}")
            middles = (found[..., :2] * 2.0 - 0.5 + grid) * 8.0 * 2**level
            sizes = found[..., 2:4].reshape(1, 3, height * width, 2)
            sizes = ((sizes * 2) ** 2 * anchors).reshape(1, -1, 2)
            scores = found[..., 4:].reshape(1, -1, self.values - 4)
            parts.append((middles.reshape(1, -1, 2), sizes, scores))
        return _best(*(torch.cat(one, 1) for one in zip(*parts, strict=True)))


def _relu(given: int, taken: int, size: int = 1, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(*_layer(given, taken, size, stride)[:2], nn.ReLU())


def _merged(given: int, taken: int, count: int, stride: int = 1) -> nn.Sequential:
    """Layers of RepVGG, whose branches are merged."""
    sizes = [(given, stride), *[(taken, 1)] * (count - 1)]
    convolutions = (nn.Conv2d(one, taken, 3, step, 1) for one, step in sizes)
    return nn.Sequential(*(nn.Sequential(one, nn.ReLU()) for one in convolutions))


class _CspPools(nn.Module):
    def __init__(self, given: int) -> None:
        super().__init__()
        wide = given // 2
        self.first = nn.Sequential(_relu(given, wide), _relu(wide, wide, 3), _relu(wide, wide))
        self.beside, self.pool = _relu(given, wide), nn.MaxPool2d(5, 1, 2)
        self.narrow = nn.Sequential(_relu(4 * wide, wide), _relu(wide, wide, 3))
        self.join = _relu(given, given)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        found = [self.first(given)]
        for _ in range(3):
            found.append(self.pool(found[-1]))
        return self.join(torch.cat([self.beside(given), self.narrow(torch.cat(found, 1))], 1))


class _Fused(nn.Module):
    """A level beside those around it."""

    def __init__(self, same: int, finer: int, taken: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(taken, taken, 2, 2)
        self.same, self.join = _relu(same, taken), _relu(3 * taken, taken)
        self.down = nn.Sequential(_relu(finer, taken), _relu(taken, taken, 3, 2))

    def forward(
        self, coarser: torch.Tensor, same: torch.Tensor, finer: torch.Tensor
    ) -> torch.Tensor:
        return self.join(torch.cat([self.up(coarser), self.same(same), self.down(finer)], 1))


class YoloV6(nn.Module):
    """YOLOv6-N 3.0 (Li et al., 2023), its branches merged."""

    def __init__(self, classes: int = 80) -> None:
        super().__init__()
        self.stem = _merged(3, 16, 1, 2)
        shapes = ((16, 32, 2), (32, 64, 4), (64, 128, 6), (128, 256, 2))
        self.body = nn.ModuleList(
            nn.Sequential(_merged(given, taken, 1, 2), _merged(taken, taken, count))
            for given, taken, count in shapes
        )
        self.pools = _CspPools(256)
        self.reduce = nn.ModuleList((_relu(256, 64), _relu(64, 32)))
        self.fuse = nn.ModuleList((_Fused(128, 64, 64), _Fused(64, 32, 32)))
        shapes = ((64, 64, 4), (32, 32, 4), (64, 64, 4), (128, 128, 4))
        self.join = nn.ModuleList(_merged(*one) for one in shapes)
        self.down = nn.ModuleList((_relu(32, 32, 3, 2), _relu(64, 64, 3, 2)))
        widths = (32, 64, 128)
        self.stems = nn.ModuleList(_layer(wide, wide) for wide in widths)
        self.towers = nn.ModuleList(_layer(wide, wide, 3) for wide in widths * 2)
        outs = [(wide, classes) for wide in widths] + [(wide, 4) for wide in widths]
        self.heads = nn.ModuleList(nn.Conv2d(wide, out, 1) for wide, out in outs)

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """[1, 3, 640, 640] to 32, 64 and 128 channels at strides of 8, 16 and 32."""
        held = [self.stem(image)]
        for stage in self.body:
            held.append(stage(held[-1]))
        far = self.reduce[0](self.pools(held[4]))
        middle = self.reduce[1](self.join[0](self.fuse[0](far, held[3], held[2])))
        near = self.join[1](self.fuse[1](middle, held[2], held[1]))
        middle = self.join[2](torch.cat([self.down[0](near), middle], 1))
        return [near, middle, self.join[3](torch.cat([self.down[1](middle), far], 1))]

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[1, 3, height, width], 0 to 1, to corners, best scores and classes."""
        boxes, scores, grids, strides = [], [], [], []
        for level, found in enumerate(self.features(image)):
            found = self.stems[level](found)
            scores.append(self.heads[level](self.towers[level](found)).sigmoid().flatten(2))
            boxes.append(self.heads[level + 3](self.towers[level + 3](found)).flatten(2))
            height, width = found.shape[2:]
            down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
            grids.append(torch.stack([across, down], 2).view(1, -1, 2) + 0.5)
            strides.append(torch.full((1, height * width, 1), 8.0 * 2**level))
        box, score = torch.cat(boxes, 2).permute(0, 2, 1), torch.cat(scores, 2).permute(0, 2, 1)
        grid, stride = torch.cat(grids, 1), torch.cat(strides, 1)
        first, last = grid - box[..., :2], grid + box[..., 2:]
        there = torch.ones_like(score[..., :1])
        middles, sizes = (first + last) / 2 * stride, (last - first) * stride
        return _best(middles, sizes, torch.cat([there, score], -1))


class _Shuffled(nn.Module):
    """A block of ShuffleNet V2 with SiLU."""

    def __init__(self, given: int, taken: int, stride: int) -> None:
        super().__init__()
        half = taken // 2

        def depthwise(wide: int) -> list[nn.Module]:
            convolution = nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False)
            return [convolution, nn.BatchNorm2d(wide)]

        inner = given if stride > 1 else half
        self.stride = stride
        self.beside = nn.Sequential(*depthwise(given), _layer(given, half)) if stride > 1 else None
        self.layers = nn.Sequential(_layer(inner, half), *depthwise(half), _layer(half, half))

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        if self.beside is None:
            left, right = given.chunk(2, 1)
        else:
            left, right = self.beside(given), given
        both = torch.cat([left, self.layers(right)], 1)
        count, wide, height, width = both.shape
        parts = both.view(count, 2, wide // 2, height, width)
        return parts.transpose(1, 2).reshape(count, wide, height, width)


class YoloV5Face(nn.Module):
    """YOLO5Face-n (Qi et al., 2021) on ShuffleNet V2: boxes, scores and five points of faces."""

    def __init__(self, size: int = 640) -> None:
        super().__init__()
        self.stem = nn.ModuleList((_layer(3, 32, 3, 2), _layer(64, 32)))
        self.stem_near = nn.Sequential(_layer(32, 16), _layer(16, 32, 3, 2))
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=True)
        self.body = nn.ModuleList(
            nn.Sequential(
                _Shuffled(given, taken, 2), *(_Shuffled(taken, taken, 1) for _ in range(count))
            )
            for given, taken, count in ((32, 128, 3), (128, 256, 7), (256, 512, 3))
        )
        self.reduce = nn.ModuleList((_layer(512, 128), _layer(128, 128)))
        self.down = nn.ModuleList(_layer(128, 128, 3, 2) for _ in range(2))
        self.join = nn.ModuleList(_Csp(wide, 128, 1, False) for wide in (384, 256, 256, 256))
        self.heads = nn.ModuleList(nn.Conv2d(128, 3 * 16, 1) for _ in range(3))
        for level in range(3):
            height = size // 8 // 2**level
            down, across = torch.meshgrid(torch.arange(height), torch.arange(height), indexing="ij")
            grid = torch.stack([across, down], 2).view(1, 1, height, height, 2).float()
            self.register_buffer(f"grid_{level}", grid)
            self.register_buffer(f"anchors_{level}", torch.rand(1, 3, 1, 1, 2) * 100)

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """[1, 3, size, size] to 128 channels at strides of 8, 16 and 32."""
        found = self.stem[0](image)
        found = self.stem[1](torch.cat([self.stem_near(found), self.pool(found)], 1))
        held = []
        for stage in self.body:
            found = stage(found)
            held.append(found)
        up = nn.functional.interpolate
        far = self.reduce[0](held[2])
        middle = self.join[0](torch.cat([up(far, scale_factor=2), held[1]], 1))
        middle = self.reduce[1](middle)
        near = self.join[1](torch.cat([up(middle, scale_factor=2), held[0]], 1))
        middle = self.join[2](torch.cat([self.down[0](near), middle], 1))
        return [near, middle, self.join[3](torch.cat([self.down[1](middle), far], 1))]

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[1, 3, size, size], 0 to 1, to boxes, scores and points of [1, anchors, …]."""
        rows = []
        for level, found in enumerate(self.features(image)):
            height, width = found.shape[2:]
            found = self.heads[level](found).view(1, 3, 16, height, width).permute(0, 1, 3, 4, 2)
            grid, anchors = getattr(self, f"grid_{level}"), getattr(self, f"anchors_{level}")
            stride = 8 * 2**level
            sure = torch.cat([found[..., :5], found[..., 15:]], -1).sigmoid()
            middles = (sure[..., :2] * 2 - 0.5 + grid) * stride
            sizes = (sure[..., 2:4] * 2) ** 2 * anchors
            points = [found[..., at : at + 2] * anchors + grid * stride for at in range(5, 15, 2)]
            parts = [middles, sizes, sure[..., 4:5], *points, sure[..., 5:]]
            rows.append(torch.cat(parts, -1).view(1, -1, 16))
        row = torch.cat(rows, 1)
        return row[..., :4], row[..., 4:5] * row[..., 15:], row[..., 5:15]
