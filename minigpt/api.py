"""The few calls that a notebook needs, in the reader's words: write with a trained model, and look inside it."""

from collections.abc import Iterator

import torch

from minigpt.config import SamplingConfig
from minigpt.data import line_end
from minigpt.generation import GeneratedToken, generate_tokens
from minigpt.hooks import AttentionView, patterns_and_logits
from minigpt.tokenizer import train_tokenizer
from minigpt.training import TrainingState


def prompt_ids(state: TrainingState, prompt: str) -> torch.Tensor:
    """Ids of a prompt under the vocabulary of the training text; ValueError if there are none."""
    ids = state.tokenizer.encode(prompt)
    if not ids:
        known = ", ".join(state.tokenizer.token(int(index)) for index in state.ids[:3])
        raise ValueError(f"The prompt is empty. Write at least one token to go on from, for example: {known}.")
    return torch.tensor(ids)


def mistaken_ids(state: TrainingState, prompt: str) -> torch.Tensor:
    """Ids of a prompt under a vocabulary made from the prompt itself: a mistake, kept for the lesson about it.

    Its ids mean other tokens to the model. ValueError where the prompt has more of them than the model knows.
    """
    prompt_ids(state, prompt)  # Refuses what no vocabulary can read.
    own = train_tokenizer(state.tokenizer.kind, prompt)
    if own.d_vocab > state.config.d_vocab:
        raise ValueError(f"This prompt has more different tokens than the model knows, {state.config.d_vocab}.")
    return torch.tensor(own.encode(prompt))


def generate(
    state: TrainingState,
    prompt: str,
    max_new_tokens: int = 40,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
) -> Iterator[GeneratedToken]:
    """Iterate over the continuation of a prompt; `"".join(token.text for token in ...)` is its text.

    A model that learned from single lines writes to the end of its line, and no further.
    temperature 0 is greedy. Beyond n_ctx tokens the oldest are left out, and each token's `slid` says so.
    Raises ValueError at once, not at the first token, if prompt or settings cannot work.
    """
    sampling = SamplingConfig(max_new_tokens, temperature, top_k, top_p, seed)
    return write(state, prompt_ids(state, prompt), sampling)


def write(state: TrainingState, ids: torch.Tensor, sampling: SamplingConfig) -> Iterator[GeneratedToken]:
    """The continuation of some ids, for as long as the model was taught to write."""
    stop = line_end(state.tokenizer, state.training)
    return generate_tokens(state.model, state.tokenizer, ids, sampling, stop)


def attention_of_ids(state: TrainingState, ids: list[int]) -> AttentionView:
    """What every head looked at over these ids; of more than n_ctx the newest are read, `.dropped` counts the rest."""
    kept = ids[-state.config.n_ctx :]
    pattern, logits = patterns_and_logits(state.model, torch.tensor(kept, device=state.model.embed.weight.device))
    return AttentionView(
        tokens=tuple(state.tokenizer.token(index) for index in kept),
        ids=tuple(kept),
        pattern=pattern.float().cpu().numpy(),
        logits=logits.float().cpu().numpy(),
        causal=state.config.causal,
        dropped=len(ids) - len(kept),
    )


def attention(state: TrainingState, prompt: str) -> AttentionView:
    """What every head of every layer looks at in a prompt: `.tokens`, `.pattern` [layer head query key], `.logits`."""
    return attention_of_ids(state, prompt_ids(state, prompt).tolist())
