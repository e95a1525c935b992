"""Networks of other packages with the heads that Qualcomm measured them with.

It runs in the environment that requirements.txt describes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

__all__ = [
    "Detector",
    "HrNetFace",
    "Midas",
    "NomicEmbed",
    "OwlVit",
    "TextEncoder",
    "TrOcrEncoder",
    "Yoloe",
    "clip",
    "conditional_detr",
    "d_fine",
    "depth_anything",
    "detr",
    "rf_detr",
    "video_mae",
]


class Detector(nn.Module):
    """A detector of ultralytics with its boxes as corners, and the best class of each.

    Args:
        network: its YAML, such as `yolo11n.yaml`.
        task: the class in `ultralytics.nn.tasks`.
    """

    def __init__(self, network: str, task: str = "DetectionModel", classes: int = 80) -> None:
        super().__init__()
        from ultralytics.nn import tasks

        self.model: Any = getattr(tasks, task)(network, nc=classes, verbose=False)
        head = self.model.model[-1]
        head.export, head.end2end, head.format = True, False, "onnx"
        self.classes = classes

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[1, 3, height, width] to corners, best scores, classes, and what else the head gives."""
        found = self.model(image)
        found, *more = found if isinstance(found, (tuple, list)) else (found,)
        found = found.permute(0, 2, 1)
        boxes, scores, rest = (
            found[..., :4],
            found[..., 4 : 4 + self.classes],
            found[..., 4 + self.classes :],
        )
        middle, half = boxes[..., :2], boxes[..., 2:] / 2
        best, index = scores.max(-1)
        extra = (rest,) if rest.shape[-1] else ()
        corners = torch.cat([middle - half, middle + half], -1)
        return (corners, best, index.to(torch.uint8), *extra, *more)


class Yoloe(Detector):
    """YOLOE-v8l-seg (Wang et al., 2025) with the texts of 80 classes fused into it."""

    def __init__(self) -> None:
        super().__init__("yoloe-v8l-seg.yaml", "YOLOESegModel")
        self.model.eval().set_classes([str(one) for one in range(80)], torch.randn(1, 80, 512))
        self.model.fuse(verbose=False)
        self.model.model[-1].fuse(self.model.pe.float())


class HrNetFace(nn.Module):
    """HRNet-W18 (Wang et al., 2020) for landmarks: all four scales side by side, then heat maps."""

    def __init__(self, points: int = 29) -> None:
        super().__init__()
        import timm

        self.body: Any = timm.create_model("hrnet_w18", features_only=False)
        self.head = nn.Sequential(
            nn.Conv2d(270, 270, 1), nn.BatchNorm2d(270), nn.ReLU(), nn.Conv2d(270, points, 1)
        )
        del self.body.incre_modules, self.body.downsamp_modules, self.body.final_layer
        del self.body.classifier

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[1, 3, height, width] to [1, points, height / 4, width / 4]."""
        body = self.body
        stem = body.act2(body.bn2(body.conv2(body.act1(body.bn1(body.conv1(image))))))
        first, *rest = body.stages(stem)
        scaled = [nn.functional.interpolate(one, first.shape[2:], mode="bilinear") for one in rest]
        return self.head(torch.cat([first, *scaled], 1))


def _twice_as_large(given: torch.Tensor, corners: bool) -> torch.Tensor:
    return nn.functional.interpolate(
        given, scale_factor=2, mode="bilinear", align_corners=corners or None
    )


class _Fusion(nn.Module):
    def __init__(self, wide: int, taken: int) -> None:
        super().__init__()
        self.units = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(), nn.Conv2d(wide, wide, 3, 1, 1), nn.ReLU(), nn.Conv2d(wide, wide, 3, 1, 1)
            )
            for _ in range(2)
        )
        self.out = nn.Conv2d(wide, taken, 1)

    def forward(self, deep: torch.Tensor, shallow: torch.Tensor | None = None) -> torch.Tensor:
        if shallow is not None:
            deep = deep + shallow + self.units[0](shallow)
        deep = deep + self.units[1](deep)
        return self.out(_twice_as_large(deep, True))


class Midas(nn.Module):
    """MiDaS v2.1 small (Ranftl et al., 2020) on EfficientNet-Lite3."""

    def __init__(self) -> None:
        super().__init__()
        import timm

        self.body = timm.create_model(
            "tf_efficientnet_lite3", features_only=True, out_indices=(1, 2, 3, 4)
        )
        widths = (64, 128, 256, 512)
        self.adapt = nn.ModuleList(
            nn.Conv2d(given, taken, 3, 1, 1, bias=False)
            for given, taken in zip(self.body.feature_info.channels(), widths, strict=True)
        )
        self.fuse = nn.ModuleList(map(_Fusion, widths, (64, 64, 128, 256)))
        self.head = nn.ModuleList(
            (nn.Conv2d(64, 32, 3, 1, 1), nn.Conv2d(32, 32, 3, 1, 1), nn.Conv2d(32, 1, 1))
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """[1, 3, height, width] to [1, 1, height, width]."""
        found = [adapt(one) for adapt, one in zip(self.adapt, self.body(image), strict=True)]
        deep = self.fuse[3](found[3])
        for level in (2, 1, 0):
            deep = self.fuse[level](deep, found[level])
        first, second, third = self.head
        return third(second(_twice_as_large(first(deep), False)).relu()).relu()


def depth_anything() -> nn.Module:
    """Depth Anything (Yang et al., 2024) on DINOv2's small ViT."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    body = Dinov2Config(
        hidden_size=384,
        num_attention_heads=6,
        image_size=518,
        patch_size=14,
        reshape_hidden_states=False,
        out_features=["stage9", "stage10", "stage11", "stage12"],
    )
    body._attn_implementation = "eager"
    config = DepthAnythingConfig(
        backbone_config=body,
        reassemble_hidden_size=384,
        neck_hidden_sizes=[48, 96, 192, 384],
        fusion_hidden_size=64,
    )
    config._attn_implementation = "eager"
    return DepthAnythingForDepthEstimation(config)


class _Detected(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found: Any = self.network(image)
        scores, labels = found.logits.softmax(-1)[..., :-1].max(-1)
        middle, half = found.pred_boxes[..., :2], found.pred_boxes[..., 2:] / 2
        return torch.cat([middle - half, middle + half], -1), scores, labels.to(torch.uint8)


def detr(backbone: str = "resnet50", dilation: bool = False) -> nn.Module:
    """DETR (Carion et al., 2020) with boxes as corners and the best class of each."""
    from transformers import DetrConfig, DetrForObjectDetection

    config = DetrConfig(
        backbone=backbone,
        use_timm_backbone=True,
        use_pretrained_backbone=False,
        dilation=dilation,
        num_labels=91,
    )
    config._attn_implementation = "eager"
    return _Detected(DetrForObjectDetection(config))


def conditional_detr() -> nn.Module:
    """Conditional DETR (Meng et al., 2021) with ResNet-50."""
    from transformers import ConditionalDetrConfig, ConditionalDetrForObjectDetection, ResNetConfig

    backbone = ResNetConfig(out_features=["stage4"])
    config = ConditionalDetrConfig(backbone_config=backbone, num_labels=91)
    config._attn_implementation = "eager"
    return _Detected(ConditionalDetrForObjectDetection(config))


class _Scored(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        found: Any = self.network(image)
        scores, labels = found.logits.sigmoid().max(-1)
        middle, half = found.pred_boxes[..., :2], found.pred_boxes[..., 2:] / 2
        size = torch.tensor([image.shape[3], image.shape[2]] * 2)
        return torch.cat([middle - half, middle + half], -1) * size, scores, labels.int()


def d_fine() -> nn.Module:
    """D-FINE nano (Peng et al., 2024), with boxes as corners and the best class of each."""
    from transformers import DFineConfig, DFineForObjectDetection, HGNetV2Config
    from transformers.models.d_fine import modeling_d_fine

    # Its check of shapes has no operator in ONNX.
    modeling_d_fine.torch_compilable_check = lambda *_: None
    backbone = HGNetV2Config(
        hidden_sizes=[64, 256, 512, 1024],
        out_features=["stage3", "stage4"],
        stem_channels=[3, 16, 16],
        stage_in_channels=[16, 64, 256, 512],
        stage_mid_channels=[16, 32, 64, 128],
        stage_out_channels=[64, 256, 512, 1024],
        stage_num_blocks=[1, 1, 2, 1],
        stage_numb_of_layers=[3, 3, 3, 3],
        use_learnable_affine_block=True,
    )
    config = DFineConfig(
        backbone_config=backbone,
        encoder_in_channels=[512, 1024],
        encoder_hidden_dim=128,
        encoder_ffn_dim=512,
        encode_proj_layers=[1],
        feat_strides=[16, 32],
        num_feature_levels=2,
        d_model=128,
        decoder_in_channels=[128, 128],
        decoder_ffn_dim=512,
        decoder_layers=3,
        decoder_n_points=[6, 6],
        hidden_expansion=0.34,
        depth_mult=0.5,
        num_labels=80,
    )
    config._attn_implementation = "eager"
    return _Scored(DFineForObjectDetection(config))


class _Chosen(nn.Module):
    def __init__(self, network: nn.Module, queries: int) -> None:
        super().__init__()
        self.network, self.queries = network, queries

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        found: Any = self.network(image)
        classes = found.logits.shape[-1]
        scores, places = torch.topk(found.logits.sigmoid().flatten(1), self.queries, 1)
        middle, half = found.pred_boxes[..., :2], found.pred_boxes[..., 2:] / 2
        corners = torch.cat([middle - half, middle + half], -1)
        rows = (places // classes).unsqueeze(-1).expand(-1, -1, 4)
        size = torch.tensor([image.shape[3], image.shape[2]] * 2)
        return torch.gather(corners, 1, rows) * size, scores, (places % classes).int()


def rf_detr() -> nn.Module:
    """RF-DETR small (Robinson et al., 2025) for pictures of 512 by 512."""
    from transformers import RfDetrConfig, RfDetrForObjectDetection
    from transformers.models.rf_detr import modeling_rf_detr
    from transformers.models.rf_detr.configuration_rf_detr import RfDetrDinov2Config

    # Its check of shapes has no operator in ONNX.
    modeling_rf_detr.torch_compilable_check = lambda *_: None
    backbone = RfDetrDinov2Config(
        hidden_size=384,
        num_attention_heads=6,
        image_size=512,
        patch_size=16,
        num_windows=2,
        out_indices=[3, 6, 9, 12],
        use_mask_token=False,
    )
    config = RfDetrConfig(
        backbone_config=backbone,
        d_model=256,
        decoder_layers=3,
        decoder_n_points=2,
        num_queries=300,
        group_detr=1,
        num_labels=91,
    )
    for part in (config, backbone):
        part._attn_implementation = "eager"
    return _Chosen(RfDetrForObjectDetection(config), 300)


class OwlVit(nn.Module):
    """OWL-ViT base with patches of 32 (Minderer et al., 2022): a picture and one text."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import OwlViTConfig, OwlViTForObjectDetection

        config = OwlViTConfig()
        for part in (config, config.vision_config, config.text_config):
            part._attn_implementation = "eager"
        self.network: Any = OwlViTForObjectDetection(config)

    def forward(
        self, image: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """[1, 3, 768, 768] and two of [1, 16] to corners, scores and classes of 576 patches."""
        found = self.network(pixel_values=image, input_ids=tokens, attention_mask=mask)
        best, index = found.logits.max(-1)
        middle, half = found.pred_boxes[..., :2], found.pred_boxes[..., 2:] / 2
        corners = torch.cat([middle - half, middle + half], -1)
        return corners, best.sigmoid(), index.int()


class _Probable(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, video: torch.Tensor) -> torch.Tensor:
        found: Any = self.network(video.transpose(1, 2))
        return found.logits.softmax(1)


def video_mae() -> nn.Module:
    """VideoMAE base (Tong et al., 2022) on 16 pictures, with probabilities of 400 classes."""
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    config = VideoMAEConfig(num_labels=400)
    config._attn_implementation = "eager"
    return _Probable(VideoMAEForVideoClassification(config))


class TextEncoder(nn.Module):
    """The text encoder of Stable Diffusion 2.1: OpenCLIP's ViT-H less its last layer."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import CLIPTextConfig, CLIPTextModel

        config = CLIPTextConfig(
            hidden_size=1024,
            intermediate_size=4096,
            num_attention_heads=16,
            num_hidden_layers=23,
            hidden_act="gelu",
            projection_dim=512,
        )
        config._attn_implementation = "eager"
        self.network: Any = CLIPTextModel(config)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """[1, 77] to [1, 77, 1024]."""
        return self.network(input_ids=tokens).last_hidden_state


class NomicEmbed(nn.Module):
    """Nomic Embed 1.5 (Nussbaum et al., 2024): a text to 512 values of length 1."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import NomicBertConfig, NomicBertModel

        config = NomicBertConfig()
        config._attn_implementation = "eager"
        self.network: Any = NomicBertModel(config)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Two of [1, tokens] to [1, 512]."""
        found = self.network(input_ids=tokens, attention_mask=mask).last_hidden_state
        kept = mask.unsqueeze(-1).expand(found.size()).float()
        mean = (found * kept).sum(1) / kept.sum(1).clamp(min=1e-9)
        short = nn.functional.layer_norm(mean, (mean.shape[1],))[:, :512]
        return nn.functional.normalize(short, p=2, dim=1)


class TrOcrEncoder(nn.Module):
    """The encoder of TrOCR small (Li et al., 2021): what each layer of its decoder attends to."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import DeiTConfig, DeiTModel

        config = DeiTConfig(
            hidden_size=384, num_attention_heads=6, intermediate_size=1536, image_size=384
        )
        config._attn_implementation = "eager"
        self.network: Any = DeiTModel(config, add_pooling_layer=False)
        self.kept = nn.ModuleList(nn.Linear(384, 256) for _ in range(2 * 6))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """[1, 3, 384, 384] to keys and values of six layers: [1, 8, 578, 32]."""
        found = self.network(image * 2 - 1).last_hidden_state
        return tuple(one(found).view(1, -1, 8, 32).transpose(1, 2) for one in self.kept)


class _Clip(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor, text: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = (image - 0.45) / 0.27
        found: Any = self.network(input_ids=text, pixel_values=pixels)
        return found.image_embeds, found.text_embeds


def clip() -> nn.Module:
    """CLIP (Radford et al., 2021) with ViT-B/16, for a picture and texts."""
    from transformers import CLIPConfig, CLIPModel

    config = CLIPConfig(vision_config={"patch_size": 16})
    for part in (config, config.vision_config, config.text_config):
        part._attn_implementation = "eager"
    return _Clip(CLIPModel(config))
