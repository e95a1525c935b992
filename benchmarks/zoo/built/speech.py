"""Small networks of streaming speech, written from their papers and code.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["SileroVad", "TransducerDecoder", "TransducerJoiner"]


class SileroVad(nn.Module):
    """A step of Silero's detector of voices at 16 kHz: 512 samples and what it kept of before."""

    def __init__(self) -> None:
        super().__init__()
        self.bins = 129
        self.spectrum = nn.Conv1d(1, 2 * self.bins, 256, 128, bias=False)
        layers: list[nn.Module] = []
        for given, taken, stride in ((self.bins, 128, 1), (128, 64, 2), (64, 64, 2), (64, 128, 1)):
            layers += [nn.Conv1d(given, taken, 3, stride, 1), nn.ReLU()]
        self.encoder = nn.Sequential(*layers)
        self.cell = nn.LSTMCell(128, 128)
        self.out = nn.Sequential(nn.ReLU(), nn.Linear(128, 1), nn.Sigmoid())

    def forward(
        self, audio: torch.Tensor, state: torch.Tensor, context: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[1, 512], [1, 2, 128] and [1, 64] to a probability, the next state and context."""
        sound = torch.cat([context, audio], -1)
        padded = nn.functional.pad(sound, (0, 64), mode="reflect").unsqueeze(1)
        both = self.spectrum(padded)
        size = torch.sqrt(both[:, : self.bins] ** 2 + both[:, self.bins :] ** 2)
        found = self.encoder(size).squeeze(-1)
        hidden, cell = self.cell(found, (state[:, 0], state[:, 1]))
        return self.out(hidden), torch.stack([hidden, cell], 1), sound[:, -64:]


class TransducerDecoder(nn.Module):
    """The decoder of icefall's transducers, without state: it sees the last two tokens.

    Args:
        tokens: that it knows.
        width: of an embedding.
    """

    def __init__(self, tokens: int, width: int = 512) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, width)
        self.mix = nn.Conv1d(width, width, 2, groups=width // 4, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """[1, 2] to [1, width]."""
        found = self.mix(self.embedding(tokens).permute(0, 2, 1)).permute(0, 2, 1).relu()
        return self.out(found.squeeze(1))


class TransducerJoiner(nn.Module):
    """The joiner of icefall's transducers.

    Args:
        tokens: that it knows.
        width: of what it joins.
    """

    def __init__(self, tokens: int, width: int = 512) -> None:
        super().__init__()
        self.out = nn.Linear(width, tokens)

    def forward(self, encoded: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
        """Two of [1, width] to [1, tokens]."""
        return self.out(torch.tanh(encoded + decoded))
