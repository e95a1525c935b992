"""Networks of MediaPipe on BlazeFace's blocks (Bazarevsky et al., 2019), as they are deployed.

Batch normalization is folded and strided layers are padded below and on the right, as TFLite has
it. It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

__all__ = ["Face", "FaceLandmarks", "HandLandmarks", "Palm", "Pose", "PoseLandmarks"]

pad = nn.functional.pad


class _Block(nn.Module):
    """A depthwise and a pointwise layer beside what was given, padded with zeros to its width."""

    def __init__(
        self,
        given: int,
        taken: int,
        stride: int = 1,
        size: int = 3,
        prelu: bool = False,
        projected: bool = False,
    ) -> None:
        super().__init__()
        self.stride, self.size, self.more = stride, size, taken - given
        padding = (size - 1) // 2 if stride == 1 else 0
        self.depthwise = nn.Conv2d(given, given, size, stride, padding, groups=given)
        self.pointwise = nn.Conv2d(given, taken, 1)
        self.projection = nn.Conv2d(given, taken, 1) if projected else None
        self.pool = nn.MaxPool2d(2, 2)
        self.activation = nn.PReLU(taken) if prelu else nn.ReLU()

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        inner = given
        if self.stride == 2:
            inner = pad(given, (0, 2, 0, 2) if self.size == 3 else (1, 2, 1, 2))
            given = self.pool(given)
        if self.projection is not None:
            given = self.projection(given)
        elif self.more:
            given = pad(given, (0, 0, 0, 0, 0, self.more))
        return self.activation(self.pointwise(self.depthwise(inner)) + given)


def _stage(given: int, taken: int, blocks: int, stride: int = 2, **more: object) -> nn.Sequential:
    """`blocks` of them, of which the first has the stride."""
    first = _Block(given, taken, stride, **more)  # type: ignore[arg-type]
    more.pop("projected", None)
    rest = [_Block(taken, taken, **more) for _ in range(blocks - 1)]  # type: ignore[arg-type]
    return nn.Sequential(first, *rest)


def _anchors(found: torch.Tensor, values: int) -> torch.Tensor:
    """[1, anchors x values, height, width] to [1, height x width x anchors, values]."""
    return found.permute(0, 2, 3, 1).reshape(1, -1, values)


class Face(nn.Module):
    """BlazeFace for the camera on the back: boxes with six points of faces."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 5, 2), nn.ReLU(), _stage(24, 24, 7, 1))
        self.body = nn.Sequential(*(_stage(*one, 8) for one in ((24, 24), (24, 48), (48, 96))))
        self.deep = nn.Conv2d(96, 96, 3, 2, groups=96)
        self.deeper = nn.Conv2d(96, 96, 1)
        self.scores = nn.ModuleList((nn.Conv2d(96, 2, 1), nn.Conv2d(96, 6, 1)))
        self.boxes = nn.ModuleList((nn.Conv2d(96, 32, 1), nn.Conv2d(96, 96, 1)))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[1, 3, 256, 256] to boxes and scores at strides of 16 and 32."""
        near = self.body(self.stem(pad(image, (2, 2, 2, 2))))
        both = near, self.deeper(self.deep(pad(near, (0, 2, 0, 2)))).relu()
        boxes = [_anchors(head(one), 16) for head, one in zip(self.boxes, both, strict=True)]
        scores = [_anchors(head(one), 1) for head, one in zip(self.scores, both, strict=True)]
        return (*boxes, *scores)


class FaceLandmarks(nn.Module):
    """468 points of a face."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 2), nn.PReLU(16)]
        layers.append(_stage(16, 16, 2, 1, prelu=True))
        widths = (16, 32, 64, 128, 128)
        layers += [_stage(given, taken, 3, prelu=True) for given, taken in pairwise(widths)]
        self.body = nn.Sequential(*layers)
        self.points, self.face = self._head(3, 1404), self._head(1, 1)

    @staticmethod
    def _head(blocks: int, values: int) -> nn.Sequential:
        return nn.Sequential(
            _stage(128, 128, blocks, prelu=True),
            *(nn.Conv2d(128, 32, 1), nn.PReLU(32), _Block(32, 32, prelu=True)),
            nn.Conv2d(32, values, 3),
        )

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[1, 3, 192, 192] to a score and [1, 468, 3]."""
        found = self.body(pad(image, (0, 1, 0, 1)))
        points = self.points(found).view(-1, 468, 3) / 192
        return self.face(found).sigmoid().view(-1), points


class Pose(nn.Module):
    """BlazePose's detector: boxes with four points of persons."""

    def __init__(self) -> None:
        super().__init__()

        def stage(given: int, taken: int, blocks: int) -> nn.Sequential:
            return _stage(given, taken, blocks, size=5, projected=True)

        self.near = nn.Sequential(
            *(nn.Conv2d(3, 48, 5, 1, 2), nn.ReLU(), _stage(48, 48, 3, 1, size=5)),
            *(stage(48, 64, 4), stage(64, 96, 7), stage(96, 128, 8)),
        )
        self.far = stage(128, 256, 7)
        self.scores = nn.ModuleList((nn.Conv2d(128, 2, 1), nn.Conv2d(256, 6, 1)))
        self.boxes = nn.ModuleList((nn.Conv2d(128, 24, 1), nn.Conv2d(256, 72, 1)))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[1, 3, 128, 128] to boxes and scores at strides of 8 and 16."""
        near = self.near(pad(image, (1, 2, 2, 2)))
        both = near, self.far(near)
        boxes = [_anchors(head(one), 12) for head, one in zip(self.boxes, both, strict=True)]
        scores = [_anchors(head(one), 1) for head, one in zip(self.scores, both, strict=True)]
        return (*boxes, *scores)


def _side(given: int, taken: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(given, given, 3, 1, 1, groups=given), nn.Conv2d(given, taken, 1), nn.ReLU()
    )


class PoseLandmarks(nn.Module):
    """BlazePose's tracker of the first version: 31 points of a person, without its mask."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 24, 3, 2), nn.ReLU(), _stage(24, 24, 2, 1))
        widths, blocks = (24, 48, 96, 192, 288), (4, 5, 6, 7)
        self.down = nn.ModuleList(map(_stage, widths, widths[1:], blocks))
        self.up = nn.ModuleList(_side(wide, 48) for wide in widths[1:])
        self.again = nn.ModuleList(map(_stage, (48, 96, 192), widths[2:], blocks[1:]))
        self.across = nn.ModuleList(_side(wide, wide) for wide in widths[2:])
        self.tail = nn.Sequential(_stage(288, 288, 8), _stage(288, 288, 7), _Block(288, 288))
        self.person, self.points = nn.Conv2d(288, 1, 2), nn.Conv2d(288, 124, 2)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[1, 3, 256, 256] to a score and [1, 31, 4]."""
        held = [self.stem(pad(image, (0, 1, 0, 1)))]
        for stage in self.down:
            held.append(stage(held[-1]))
        found = self.up[3](held[4])
        for level in (2, 1, 0):
            found = nn.functional.interpolate(found, scale_factor=2, mode="bilinear")
            found = self.up[level](held[level + 1]) + found
        for stage, across, one in zip(self.again, self.across, held[2:], strict=True):
            found = stage(found) + across(one)
        found = self.tail(found)
        points = self.points(found).view(1, 31, 4) / 256
        return self.person(found).view(-1).sigmoid(), points


class HandLandmarks(nn.Module):
    """The tracker of hands of the first version: 21 points and which hand it is."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *(nn.Conv2d(3, 24, 3, 2), nn.ReLU(), _stage(24, 24, 2, 1, size=5)),
            _Block(24, 48, 2, 5),
        )
        self.down = nn.ModuleList(
            nn.Sequential(_stage(given, given, 2, 1, size=5), _Block(given, taken, 2, 5))
            for given, taken in ((48, 96), (96, 96), (96, 96))
        )
        self.join = nn.ModuleList(
            (_Block(96, 96, size=5), nn.Sequential(_Block(96, 96, size=5), nn.Conv2d(96, 48, 1)))
        )
        widths = (48, 96, 288, 288, 288, 288)
        self.tail = nn.Sequential(
            _stage(48, 48, 4, 1, size=5),
            *(_stage(given, taken, 5, size=5) for given, taken in pairwise(widths)),
        )
        self.heads = nn.ModuleList(nn.Conv2d(288, values, 2) for values in (1, 1, 63))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[1, 3, 256, 256] to two scores and [1, 21, 3]."""
        held = [self.stem(pad(image, (0, 1, 0, 1)))]
        for stage in self.down:
            held.append(stage(held[-1]))
        found = held[3]
        for join, level in zip(self.join, (2, 1), strict=True):
            bigger = nn.functional.interpolate(found, scale_factor=2, mode="bilinear")
            found = join(held[level] + bigger)
        found = self.tail(
            held[0] + nn.functional.interpolate(found, scale_factor=2, mode="bilinear")
        )
        hand, side, points = (head(found) for head in self.heads)
        return hand.view(-1).sigmoid(), side.view(-1).sigmoid(), points.view(-1, 21, 3) / 256


class Palm(nn.Module):
    """The detector of palms, with its boxes and seven points.

    Args:
        decoded: by anchors, with their scores as probabilities.
    """

    def __init__(self, decoded: bool = True) -> None:
        super().__init__()
        self.decoded = decoded
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2), nn.ReLU(), _stage(32, 32, 7, 1))
        self.near = nn.Sequential(_stage(32, 64, 8), _stage(64, 128, 8))
        self.middle, self.far = _stage(128, 256, 8), _stage(256, 256, 8)
        self.up = nn.ModuleList(nn.ConvTranspose2d(256, wide, 2, stride=2) for wide in (256, 128))
        self.join = nn.ModuleList((_Block(256, 256), _Block(128, 128)))
        shapes = ((128, 2), (256, 2), (256, 6))
        self.scores = nn.ModuleList(nn.Conv2d(wide, count, 1) for wide, count in shapes)
        self.boxes = nn.ModuleList(nn.Conv2d(wide, 18 * count, 1) for wide, count in shapes)
        count = 32 * 32 * 2 + 16 * 16 * 2 + 8 * 8 * 6
        offset = torch.rand(1, count, 1, 2) * 256 * (torch.arange(9) != 1).view(9, 1)
        self.register_buffer("offset", offset)
        self.register_buffer("size", torch.rand(1, count, 1, 2))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[1, 3, 256, 256] to [1, 2944, 18] and scores."""
        near = self.near(self.stem(pad(image, (0, 1, 0, 1))))
        middle = self.middle(near)
        far = self.far(middle)
        middle = self.join[0](middle + self.up[0](far).relu())
        near = self.join[1](near + self.up[1](middle).relu())
        levels = (near, middle, far)
        scores = torch.cat([_anchors(h(x), 1) for h, x in zip(self.scores, levels, strict=True)], 1)
        boxes = torch.cat([_anchors(h(x), 18) for h, x in zip(self.boxes, levels, strict=True)], 1)
        if not self.decoded:
            return boxes, scores
        points = boxes.view(1, -1, 9, 2) * self.size + self.offset
        middles, sizes, rest = points[:, :, :1], points[:, :, 1:2] / 2, points[:, :, 2:]
        points = torch.cat([middles - sizes, middles + sizes, rest], 2).flatten(2)
        return points, scores.clamp(-100, 100).sigmoid().squeeze(-1)
