"""All of Tag2Text in one module: what tags, what writes captions, what aligns images and texts."""

from __future__ import annotations

from torch import Tensor

from grounded_ram.ram.alignment import Alignment, AlignmentConfig
from grounded_ram.ram.bert import TextConfig
from grounded_ram.ram.caption import TagInputs
from grounded_ram.ram.captioner import CaptionNetworks
from grounded_ram.ram.tag2text import Tag2Text, Tag2TextConfig


class Tag2TextNetworks(Tag2Text):
    """Tag2Text as it is trained: three tasks over one image encoder.

    Every key of the official checkpoint has its official name: ``visual_encoder.*``,
    ``label_embed.*``, ``tagging_head.*``, ``fc.*``, ``tag_encoder.*``, ``text_decoder.*``. New are
    ``alignment.*``: ``text_encoder.*``, ``vision_proj.*``, ``text_proj.*``, ``itm_head.*`` and
    ``temp``, of which ``text_encoder.encoder.layer.I.crossattention.*`` is partly a second name of
    the decoder's. Shared tensors come in ``state_dict()`` under each of their names.

    Args:
        config: sizes of the tagging half.
        text: sizes of the three text networks.
        alignment: sizes of the rest of the alignment parts.
    """

    def __init__(
        self, config: Tag2TextConfig, text: TextConfig, alignment: AlignmentConfig
    ) -> None:
        super().__init__(config)
        captioner = CaptionNetworks(text, config.head_sizes(), self.tagging_head)
        self._captioner = (captioner,)  # a tuple: no module, whose name would stand in every key
        self.tag_encoder = captioner.tag_encoder
        self.text_decoder = captioner.text_decoder
        self.alignment = Alignment(alignment, text, config.head_sizes(), self.text_decoder)

    @property
    def captioner(self) -> CaptionNetworks:
        """The networks that write captions, as ``CaptioningTagger`` takes them: no copy."""
        return self._captioner[0]

    def caption_logits(self, tags: TagInputs, caption_ids: Tensor, image_tokens: Tensor) -> Tensor:
        """Return (B, L, vocab_size) logits of the token after each; see ``CaptionNetworks``."""
        logits: Tensor = self.captioner(tags, caption_ids, image_tokens)
        return logits
