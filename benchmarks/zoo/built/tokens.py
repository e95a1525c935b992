"""Decoders that write one token, from what they keep of the ones before and of the encoder.

Written from the papers, with the inputs and outputs that Qualcomm measured them with. It runs in
the environment that requirements.txt describes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

__all__ = ["TrOcr", "Whisper"]


@dataclass(frozen=True)
class _Sizes:
    layers: int
    heads: int
    width: int
    tokens: int
    kept: int
    places: int

    @property
    def all(self) -> int:
        return self.heads * self.width


class _Attention(nn.Module):
    """Attention of one token; keys and values of the encoder are given where `kept` is false."""

    def __init__(self, sizes: _Sizes, *, kept: bool) -> None:
        super().__init__()
        self.heads, self.width = sizes.heads, sizes.width
        names = ("query", "key", "value", "out") if kept else ("query", "out")
        for name in names:
            setattr(self, name, nn.Linear(sizes.all, sizes.all, bias=name != "key"))

    def split(self, given: torch.Tensor) -> torch.Tensor:
        """[1, 1, heads * width] to [1, heads, 1, width]."""
        return given.view(1, 1, self.heads, self.width).transpose(1, 2)

    def forward(
        self,
        given: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """[1, 1, all], keys [1, heads, width, n] and values [1, heads, n, width] to [1, 1, all]."""
        scores = (self.split(self.query(given)) * self.width**-0.5) @ keys
        if mask is not None:
            scores = scores + mask
        found = scores.softmax(-1) @ values
        return self.out(found.transpose(1, 2).reshape(1, 1, -1))


class _Layer(nn.Module):
    def __init__(self, sizes: _Sizes, activation: nn.Module, *, first: bool) -> None:
        super().__init__()
        self.first = first
        self.itself = _Attention(sizes, kept=True)
        self.encoded = _Attention(sizes, kept=False)
        self.rows = nn.Sequential(
            nn.Linear(sizes.all, 4 * sizes.all), activation, nn.Linear(4 * sizes.all, sizes.all)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(sizes.all) for _ in range(3))

    def around(self, which: int, given: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
        """The residual, normalized where the network normalizes behind its parts."""
        total = given + found
        return total if self.first else self.norms[which](total)

    def before(self, which: int, given: torch.Tensor) -> torch.Tensor:
        """What a part reads, normalized where the network normalizes in front of its parts."""
        return self.norms[which](given) if self.first else given

    def forward(
        self, given: torch.Tensor, cache: list[torch.Tensor], mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        read = self.before(0, given)
        mine = self.itself
        keys = torch.cat([cache[0], mine.split(mine.key(read)).transpose(2, 3)], 3)
        values = torch.cat([cache[1], mine.split(mine.value(read))], 2)
        given = self.around(0, given, mine(read, keys, values, mask))
        given = self.around(1, given, self.encoded(self.before(1, given), cache[2], cache[3]))
        return self.around(2, given, self.rows(self.before(2, given))), keys, values


class TrOcr(nn.Module):
    """The decoder of TrOCR small (Li et al., 2021), which gives the token itself.

    It keeps keys as it keeps values: [1, heads, tokens, width].
    """

    SIZES = _Sizes(6, 8, 32, 64044, 19, 514)

    def __init__(self) -> None:
        super().__init__()
        sizes = self.SIZES
        self.token = nn.Embedding(sizes.tokens, sizes.all)
        self.place = nn.Embedding(sizes.places, sizes.all)
        self.norm = nn.LayerNorm(sizes.all)
        self.layers = nn.ModuleList(
            _Layer(sizes, nn.ReLU(), first=False) for _ in range(sizes.layers)
        )
        step = torch.arange(sizes.kept + 1)
        self.register_buffer("hidden", -65504.0 * (step < sizes.kept - step[:, None]))

    def forward(
        self, token: torch.Tensor, index: torch.Tensor, *caches: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """[1, 1], [1], and for each layer keys and values, then those of the encoder."""
        # Its positions count what is kept, which is always as much: one row, as it is exported.
        place = self.place.weight[self.SIZES.kept + 2]
        found = self.norm(self.token(token) * self.SIZES.all**0.5 + place)
        mask = functional.embedding(index, self.hidden).view(1, 1, 1, -1)
        kept: list[torch.Tensor] = []
        for number, layer in enumerate(self.layers):
            keys, values, encoded, more = caches[4 * number : 4 * number + 4]
            cache = [keys.transpose(2, 3), values, encoded.transpose(2, 3), more]
            found, keys, values = layer(found, cache, mask)
            kept += [keys.transpose(2, 3), values]
        scores = functional.linear(found, self.token.weight)
        return (scores.squeeze(1).argmax(-1).int(), *kept)


class Whisper(nn.Module):
    """A decoder of Whisper (Radford et al., 2022), which forgets the oldest of 200 tokens.

    It keeps [heads, 1, width, tokens] of keys and [heads, 1, tokens, width] of values.

    Args:
        layers: of the network.
        heads: of 64 values each.
        tokens: that it knows.
    """

    def __init__(self, layers: int, heads: int, tokens: int = 51865) -> None:
        super().__init__()
        sizes = _Sizes(layers, heads, 64, tokens, 199, 448)
        self.token = nn.Embedding(sizes.tokens, sizes.all)
        self.place = nn.Embedding(sizes.places, sizes.all)
        self.layers = nn.ModuleList(_Layer(sizes, nn.GELU(), first=True) for _ in range(layers))
        self.norm = nn.LayerNorm(sizes.all)
        self.out = nn.Linear(sizes.all, sizes.tokens, bias=False)

    def forward(
        self, token: torch.Tensor, mask: torch.Tensor, *more: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """[1, 1], [1, 1, 1, 200], keys and values of each layer, the encoder's, the position."""
        *caches, place = more
        found = self.token(token) + self.place(place)
        kept: list[torch.Tensor] = []
        for number, layer in enumerate(self.layers):
            cache = [
                one.transpose(0, 1)
                for start in (0, 2 * len(self.layers))
                for one in caches[start + 2 * number : start + 2 * number + 2]
            ]
            found, keys, values = layer(found, cache, mask)
            kept += [keys[..., 1:].transpose(0, 1), values[:, :, 1:].transpose(0, 1)]
        return (self.out(self.norm(found)).view(1, -1, 1, 1), *kept)
