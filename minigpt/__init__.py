"""miniGPT: train a small GPT on a text, then see what every attention head looks at.

In a notebook:

    state = minigpt.main_train(text)
    print("".join(token.text for token in minigpt.generate(state, "the old king")))
    view = minigpt.attention(state, "the old king saw the dog")
    minigpt.figures.heads_grid(view).show()
"""

from minigpt import figures
from minigpt.api import attention, generate
from minigpt.config import GPTConfig, SamplingConfig, TrainingConfig
from minigpt.data import text_to_tensor
from minigpt.generation import GeneratedToken
from minigpt.history import History
from minigpt.hooks import AttentionView, attention_patterns
from minigpt.model import MLP, AttentionHead, MultiHeadedAttention, Transformer, TransformerBlock, causal_pattern
from minigpt.tokenizer import create_word_index
from minigpt.training import TrainingState, advance, begin, main_train, train

__version__ = "0.1.0"

__all__ = [
    "MLP",
    "AttentionHead",
    "AttentionView",
    "GPTConfig",
    "GeneratedToken",
    "History",
    "MultiHeadedAttention",
    "SamplingConfig",
    "TrainingConfig",
    "TrainingState",
    "Transformer",
    "TransformerBlock",
    "advance",
    "attention",
    "attention_patterns",
    "begin",
    "causal_pattern",
    "create_word_index",
    "figures",
    "generate",
    "main_train",
    "text_to_tensor",
    "train",
]
