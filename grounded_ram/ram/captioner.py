"""Captions of images: the two text networks beside a tagging head."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from grounded_ram.ram.bert import TagEncoder, TextConfig, TextDecoder
from grounded_ram.ram.caption import CaptionTokenizer, Search, TagInputs, generate
from grounded_ram.ram.tag_decoder import HeadSizes, TagDecoder

DERIVED_PREFIXES = (
    "tag_encoder.embeddings.position_ids",
    "text_decoder.bert.embeddings.position_ids",
)
"""Keys of an official checkpoint that follow from the sizes: the numbers from 0 to 511."""


class CaptionNetworks(nn.Module):
    """The tag encoder and the text decoder of Tag2Text or RAM, with the official key names.

    Args:
        config: sizes of the text networks.
        head: sizes of the tagging head.
        tagging_head: RAM's or Tag2Text's own, with which the tag encoder shares weights.
    """

    def __init__(self, config: TextConfig, head: HeadSizes, tagging_head: TagDecoder) -> None:
        super().__init__()
        self.tag_encoder = TagEncoder(config, head, tagging_head)
        self.text_decoder = TextDecoder(config, head)

    def forward(self, tags: TagInputs, caption_ids: Tensor, image_tokens: Tensor) -> Tensor:
        """Return (B, L, vocab_size) logits of the token after each of a caption, for training.

        Args:
            tags: of B images, as ``CaptionTokenizer.tag_inputs`` made them.
            caption_ids: (B, L), as ``CaptionTokenizer.caption_ids`` made them.
            image_tokens: (B, 1 + N, C), as the tagging head attends to them.
        """
        memory = self.tag_encoder(tags.ids, tags.real, image_tokens)
        logits: Tensor = self.text_decoder(caption_ids, memory)
        return logits

    def write(
        self,
        tags: Sequence[Sequence[str]],
        image_tokens: Tensor,
        tokenizer: CaptionTokenizer,
        search: Search,
    ) -> list[str]:
        """Return the captions of B images.

        Args:
            tags: B lists of names that guide the captions, read in their order; one may be empty.
            image_tokens: (B, 1 + N, C), as the tagging head attends to them.
            tokenizer: over the checkpoint's vocabulary.
            search: how to search.
        """
        if not tags:
            return []
        inputs = tokenizer.tag_inputs(tags)
        device = image_tokens.device
        memory = self.tag_encoder(inputs.ids.to(device), inputs.real.to(device), image_tokens)
        prompt, end = tokenizer.prompt_ids, tokenizer.sep_id
        found = generate(self.text_decoder, memory, prompt, end, search)
        return [tokenizer.caption(ids) for ids in found]


def tied_keys(tagging_head: TagDecoder) -> list[tuple[str, str]]:
    """Return the pairs of official keys that name one tensor.

    The tag encoder's first layers use the tagging head's weights, because both find tags in the
    image; the decoder's output matrix is its word embedding; its bias has two names in BERT.
    """
    head = [(f"tag_encoder.{key}", f"tagging_head.{key}") for key in tagging_head.state_dict()]
    predictions = "text_decoder.cls.predictions"
    return [
        *head,
        ("text_decoder.bert.embeddings.word_embeddings.weight", f"{predictions}.decoder.weight"),
        (f"{predictions}.bias", f"{predictions}.decoder.bias"),
    ]
