"""The mask decoder of Segment Anything for many points of one image.

The published decoder (Kirillov et al., "Segment Anything", ICCV 2023, section 3 and appendix A; two-way transformer of
``facebookresearch/segment-anything``) repeats the image embedding for every point and projects all of its tokens again.
Here the same values come from less work, up to the rounding of float32:

- what the first layer does with the image before it has seen a point is done once an image;
- a point has about 7 tokens and the image 4096, so a projection of image tokens is moved to the side of the point's
  tokens: ``q @ (W x) = (q @ W) @ x``, and likewise for values and outputs;
- the predicted quality is known before the masks are drawn, and only wanted masks are drawn;
- the two transposed convolutions do not overlap, so they are matrix products on channels-last tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

Layer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Attention:
    """One attention of the two-way transformer: four linear layers, of which the first three may narrow the width."""

    query: nn.Linear
    key: nn.Linear
    value: nn.Linear
    out: nn.Linear
    heads: int

    @property
    def scale(self) -> float:
        return (self.query.out_features / self.heads) ** -0.5

    def split(self, tokens: Tensor) -> Tensor:
        """[B, n, width] -> [B, heads, n, width / heads]."""
        return tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def among_tokens(self, queries: Tensor, values: Tensor) -> Tensor:
        """Ordinary attention of a few tokens to each other; queries are the keys as well."""
        q, k, v = self.split(self.query(queries)), self.split(self.key(queries)), self.split(self.value(values))
        weights = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))

    def outputs_of_heads(self, values: Tensor) -> Tensor:
        """Values [B, n, width] -> [B, heads * n, C], what each head adds to the output when it attends to one token."""
        weight = self.out.weight.unflatten(1, (self.heads, -1)).permute(1, 2, 0)  # [heads, d, C]
        share = self.out.bias / self.heads  # the weights of a head sum to one
        return (self.split(self.value(values)) @ weight).flatten(1, 2) + share

    def folded(self, tokens: Tensor, *, own: nn.Linear, other: nn.Linear) -> tuple[Tensor, Tensor]:
        """Tokens of points, ready to be multiplied with image tokens that ``other`` would have projected.

        Returns [B, heads * n, C] and, from the bias of ``other``, what is added to every product: [B, heads * n, 1].
        """
        projected = self.split(own(tokens)) * self.scale
        weight = other.weight.unflatten(0, (self.heads, -1))  # [heads, d, C]
        bias = other.bias.unflatten(0, (self.heads, -1)).unsqueeze(-1)
        return (projected @ weight).flatten(1, 2), (projected @ bias).flatten(1, 2)


@dataclass(frozen=True)
class Block:
    """One layer of the two-way transformer."""

    self_attention: Attention
    norm1: Layer
    to_image: Attention
    norm2: Layer
    mlp: Layer
    norm3: Layer
    to_tokens: Attention
    norm4: nn.LayerNorm


@dataclass(frozen=True)
class DecoderParts:
    """The modules of a mask decoder, whatever library holds them.

    Attributes:
        output_tokens: [1 + masks, C], the token of the quality first.
        norm: layer norm between the two transposed convolutions, over channels.
        hypernetworks: one for each mask token; the first belongs to the single-mask output.
        quality: predicts the quality of all masks from the first token.
    """

    output_tokens: Tensor
    blocks: tuple[Block, ...]
    final: Attention
    final_norm: Layer
    upscale1: nn.ConvTranspose2d
    norm: Any
    upscale2: nn.ConvTranspose2d
    activation: Layer
    hypernetworks: tuple[Layer, ...]
    quality: Layer


class ImageDecoder:
    """The decoder for one image.

    Args:
        parts: modules.
        embedding: [1, C, h, w], what the image encoder made.
        position: [1, C, h, w], positional encoding of the image tokens.
        no_mask: [C], embedding that stands for "no mask given".
    """

    def __init__(self, parts: DecoderParts, embedding: Tensor, position: Tensor, no_mask: Tensor) -> None:
        self.parts = parts
        self.size = (int(embedding.shape[-2]), int(embedding.shape[-1]))
        self.image = (embedding + no_mask.view(1, -1, 1, 1)).flatten(2).transpose(1, 2).contiguous()[0]
        self.position = position.flatten(2).transpose(1, 2).contiguous()[0]
        first = parts.blocks[0]
        placed = self.image + self.position
        self._keys = _heads_first(first.to_image, first.to_image.key(placed)).transpose(1, 2)
        self._values = _heads_first(first.to_image, first.to_image.value(self.image))
        self._queries = _heads_first(first.to_tokens, first.to_tokens.query(placed)).transpose(1, 2).contiguous()

    def qualities(self, prompts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Everything but the masks.

        Args:
            prompts: [B, n, C], embedded points.

        Returns:
            Predicted quality [B, 3], weights [B, 3, c] for :meth:`masks`, and image tokens [B, h * w, C] likewise.
        """
        parts = self.parts
        tokens = torch.cat((parts.output_tokens.expand(len(prompts), -1, -1), prompts), dim=1)
        queries, image = self._first_layer(tokens)
        placed = torch.empty_like(image)
        for block in parts.blocks[1:]:
            torch.add(image, self.position, out=placed)
            queries = block.norm1(queries + block.self_attention.among_tokens(queries + tokens, queries))
            queries = block.norm2(queries + _look_at_image(block.to_image, queries + tokens, placed, image))
            queries = block.norm3(queries + block.mlp(queries))
            image = _look_at_tokens(block, queries, tokens, placed, image)
        torch.add(image, self.position, out=placed)
        outputs = len(parts.output_tokens)
        queries = queries[:, :outputs]
        queries = parts.final_norm(queries + _look_at_image(parts.final, queries + tokens[:, :outputs], placed, image))
        weights = [network(queries[:, 1 + i]) for i, network in enumerate(parts.hypernetworks) if i > 0]
        return parts.quality(queries[:, 0])[:, 1:], torch.stack(weights, dim=1), image

    def masks(self, image: Tensor, weights: Tensor) -> Tensor:
        """Logits [B, m, 4h, 4w] from image tokens [B, h * w, C] and m rows of weights a point, [B, m, c]."""
        parts, (height, width) = self.parts, self.size
        first, second = parts.upscale1, parts.upscale2
        grown = _grow(first, image)  # [B, h * w, 4, C / 4]
        grown = F.layer_norm(grown, grown.shape[-1:], parts.norm.weight, parts.norm.bias, _epsilon(parts.norm))
        grown = parts.activation(grown).flatten(1, 2)
        grown = parts.activation(_grow(second, grown)).flatten(1, 2)  # [B, h * w * 16, c]
        logits = weights @ grown.transpose(1, 2)
        logits = logits.unflatten(-1, (height, width, 2, 2, 2, 2)).permute(0, 1, 2, 4, 6, 3, 5, 7)
        return logits.reshape(len(image), -1, height * 4, width * 4)

    def _first_layer(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        block, count = self.parts.blocks[0], len(tokens)
        queries = block.norm1(block.self_attention.among_tokens(tokens, tokens))
        attention = block.to_image
        asked = _heads_first(attention, attention.query(queries + tokens).flatten(0, 1) * attention.scale)
        seen = torch.softmax(asked @ self._keys, dim=-1) @ self._values  # [heads, B * n, d]
        seen = seen.transpose(0, 1).flatten(1).unflatten(0, (count, -1))
        queries = block.norm2(queries + attention.out(seen))
        queries = block.norm3(queries + block.mlp(queries))
        attention = block.to_tokens
        keys = attention.split(attention.key(queries + tokens) * attention.scale)
        outputs = attention.outputs_of_heads(queries)
        scores = outputs.new_empty(count, attention.heads, tokens.shape[1], len(self.image))
        for one, key in zip(scores, keys, strict=True):
            torch.bmm(key, self._queries, out=one)
        shared = torch.softmax(scores, dim=2).flatten(1, 2)
        image = torch.baddbmm(self.image, shared.transpose(1, 2), outputs)
        return queries, block.norm4(image)


class DecodedImage:
    """A crop with its prompts: what :class:`~annotation.keypoints.mask_points.Encoded` asks for.

    Args:
        decoder: of the crop.
        embed: points [n, 2], x and y in pixels of the network's input -> prompts [n, tokens, C].
    """

    def __init__(self, decoder: ImageDecoder, embed: Callable[[Tensor], Tensor]) -> None:
        self.decoder, self.embed = decoder, embed

    def qualities(self, points: NDArray[np.float64]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        placed = torch.from_numpy(points).to(self.decoder.image.device)
        found, weights, image = self.decoder.qualities(self.embed(placed))

        def draw(wanted: Tensor) -> Tensor:
            rows = wanted.any(dim=1)
            return self.decoder.masks(image[rows], weights[rows])[wanted[rows]]

        return found, draw


def _heads_first(attention: Attention, tokens: Tensor) -> Tensor:
    """[n, width] -> [heads, n, width / heads]."""
    return tokens.unflatten(-1, (attention.heads, -1)).transpose(0, 1).contiguous()


def _look_at_image(attention: Attention, queries: Tensor, placed: Tensor, image: Tensor) -> Tensor:
    """Attention from tokens [B, n, C] to image tokens [B, N, C]; ``placed`` are these with their positions."""
    asked, _ = attention.folded(queries, own=attention.query, other=attention.key)  # the bias adds the same to all
    weights = torch.softmax(asked @ placed.transpose(1, 2), dim=-1)
    seen = (weights @ image).unflatten(1, (attention.heads, -1))  # [B, heads, n, C]
    value = attention.value
    assert value.bias is not None
    projected = seen @ value.weight.unflatten(0, (attention.heads, -1)).transpose(1, 2)
    return attention.out(projected.transpose(1, 2).flatten(2) + value.bias)


def _look_at_tokens(block: Block, queries: Tensor, tokens: Tensor, placed: Tensor, image: Tensor) -> Tensor:
    """Attention from image tokens to tokens, added to the image tokens (in place) and normalised."""
    attention = block.to_tokens
    keys, bias = attention.folded(queries + tokens, own=attention.key, other=attention.query)
    scores = torch.baddbmm(bias, keys, placed.transpose(1, 2)).unflatten(1, (attention.heads, -1))
    shared = torch.softmax(scores, dim=2).flatten(1, 2)
    return block.norm4(image.baddbmm_(shared.transpose(1, 2), attention.outputs_of_heads(queries)))


def _grow(layer: nn.ConvTranspose2d, tokens: Tensor) -> Tensor:
    """Transposed convolution with kernel and stride 2: [B, n, C] -> [B, n, 4, out], the four in order of rows."""
    weight = layer.weight.permute(0, 2, 3, 1).flatten(1)  # [C, 4 * out]
    assert layer.bias is not None
    return torch.addmm(layer.bias.repeat(4), tokens.flatten(0, 1), weight).view(*tokens.shape[:2], 4, -1)


def _epsilon(norm: Any) -> float:
    return float(getattr(norm, "eps", getattr(norm, "variance_epsilon", 1e-6)))
