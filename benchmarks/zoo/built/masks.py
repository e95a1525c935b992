"""The decoders of networks that segment what points show, for one mask.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

__all__ = ["MobileSam", "Sam2"]

SIDE = 1024
WIDTH = 256


def _decoder(name: str, **arguments: Any) -> Any:
    from ultralytics.models.sam.modules import decoders, transformer

    two_ways = transformer.TwoWayTransformer(2, WIDTH, 8, 2048)
    return getattr(decoders, name)(WIDTH, two_ways, **arguments)


def _prompts() -> Any:
    from ultralytics.models.sam.modules.encoders import PromptEncoder

    return PromptEncoder(WIDTH, (SIDE // 16, SIDE // 16), (SIDE, SIDE), 16)


class MobileSam(nn.Module):
    """MobileSAM (Zhang et al., 2023): the best of four masks of one point."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts, self.decoder = _prompts(), _decoder("MaskDecoder")

    def forward(
        self, features: torch.Tensor, points: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """[1, 256, 64, 64], [1, points, 2], [1, points] to [1, 1, 256, 256] and [1, 1]."""
        prompts = self.prompts
        masks, scores = self.decoder.predict_masks(
            features,
            prompts.get_dense_pe(),
            self._points(points, labels.unsqueeze(-1)),
            prompts.no_mask_embed.weight.reshape(1, -1, 1, 1),
        )
        first = torch.tensor([[1000.0, 0, 0, 0]]) * (points.shape[1] - 2.5)
        best = (scores + first).argmax(1)
        return masks[torch.arange(1), best].unsqueeze(1), scores[torch.arange(1), best].unsqueeze(1)

    def _points(self, points: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        prompts: Any = self.prompts
        found = prompts.pe_layer._pe_encoding((points + 0.5) / SIDE)
        found = found * (labels != -1).float()
        found = found + prompts.not_a_point_embed.weight * (labels == -1).float()
        for value, each in enumerate(prompts.point_embeddings):
            found = found + each.weight * (labels == value).float()
        return found


class Sam2(nn.Module):
    """SAM 2.1 (Ravi et al., 2024): the mask of the first token, with fine features of two sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts = _prompts()
        self.decoder = _decoder(
            "SAM2MaskDecoder",
            use_high_res_features=True,
            iou_prediction_use_sigmoid=True,
            pred_obj_scores=True,
            pred_obj_scores_mlp=True,
            use_multimask_token_for_obj_ptr=True,
        )

    def forward(
        self, features: torch.Tensor, fine: torch.Tensor, finer: torch.Tensor, points: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """[1, 256, 64, 64], [1, 32, 256, 256], [1, 64, 128, 128], [1, 3, 256] to mask and score."""
        masks, scores, _, _ = self.decoder(
            features,
            self.prompts.get_dense_pe(),
            points,
            self.prompts.no_mask_embed.weight.reshape(1, -1, 1, 1),
            multimask_output=False,
            repeat_image=False,
            high_res_features=[fine, finer],
        )
        return masks, scores
