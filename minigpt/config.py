"""What a person can choose, validated once, at the door: every error says what would have worked."""

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

Positions = Literal["rotary", "sinusoidal", "learned", "none"]
ActFn = Literal["relu", "gelu", "gelu_tanh", "silu"]
OptimiserName = Literal["muon", "adamw"]
TokenizerKind = Literal["word", "character", "bpe"]
Windows = Literal["anywhere", "line starts", "single lines", "chunks"]
ValidationPlace = Literal["end", "spread"]

# Far beyond what two cores train in a lesson; near enough that a slip of the keyboard cannot exhaust a shared server.
MAX_PARAMETERS = 100_000_000
MAX_ACTIVATIONS = 500_000_000


# What the page calls a setting, and so what a refusal calls it.
LABELS = {
    "n_layers": "Layers",
    "n_heads": "Heads",
    "d_model": "Width",
    "n_ctx": "Context",
    "positions": "Positions",
    "steps": "Steps",
    "batch_size": "Batch",
    "learning_rate": "Learning rate",
    "optimiser": "Optimiser",
    "seed": "Seed",
    "validation_fraction": "Held out, share",
    "validation_place": "Held out, place",
    "max_new_tokens": "Tokens",
    "temperature": "Temperature",
    "top_k": "Top-k",
    "top_p": "Top-p",
}


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raise ValueError, naming the setting and its limits, unless the value is a whole number within them."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        said = LABELS.get(name, name)
        raise ValueError(f"{said} must be a whole number from {low:,} to {high:,}, not {value!r}.")


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Raise ValueError, naming the setting and its limits, unless the value is a number within them."""
    # `not low <= value` also refuses NaN.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{LABELS.get(name, name)} must be a number from {low:g} to {high:g}, not {value!r}.")


def check_one_of(name: str, value: object, allowed: object) -> None:
    """Raise ValueError, naming the choices, unless the value is one of a `Literal`'s."""
    names = get_args(allowed)
    if value not in names:
        raise ValueError(f"{LABELS.get(name, name)} must be one of {', '.join(names)}, not {value!r}.")


@dataclass(frozen=True)
class GPTConfig:
    """The shape of a transformer, and a switch for each thing worth living without for a lesson.

    d_vocab: how many different tokens; 0 means "as many as the tokenizer knows".
    n_ctx: how many tokens the model sees at once.
    d_head: width of one head; 0 means d_model / n_heads.
    d_mlp: hidden width of the MLP; None means 4 x d_model, 0 means attention only.
    init_std: standard deviation of every linear map and embedding at the start, GPT-2 uses 0.02;
        None means 1 / sqrt(fan in) for linear maps and .02 for embeddings, zero for what writes to the residual stream.
    """

    d_vocab: int = 0
    n_ctx: int = 64
    d_model: int = 64
    n_heads: int = 4
    n_layers: int = 2
    d_head: int = 0
    d_mlp: int | None = None
    positions: Positions = "rotary"
    causal: bool = True
    scale_scores: bool = True
    layer_norm: bool = True
    residual: bool = True
    bias: bool = False
    tie_unembedding: bool = True
    act_fn: ActFn = "relu"
    init_std: float | None = None

    def __post_init__(self) -> None:
        check_whole("d_vocab", self.d_vocab, 0, 1_000_000)
        check_whole("n_ctx", self.n_ctx, 1, 4096)
        check_whole("d_model", self.d_model, 1, 4096)
        check_whole("n_heads", self.n_heads, 1, 64)
        check_whole("n_layers", self.n_layers, 1, 64)
        check_whole("d_head", self.d_head, 0, 4096)
        check_one_of("positions", self.positions, Positions)
        check_one_of("act_fn", self.act_fn, ActFn)
        for name in ("causal", "scale_scores", "layer_norm", "residual", "bias", "tie_unembedding"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, not {getattr(self, name)!r}.")
        if self.init_std is not None:
            check_number("init_std", self.init_std, 0, 10)
        # A head as wide as its share of the width follows it; another was asked for by itself.
        own_d_head = 0 if self.d_head * self.n_heads == self.d_model else self.d_head
        if self.d_mlp is None:
            object.__setattr__(self, "d_mlp", 4 * self.d_model)
        check_whole("d_mlp", self.d_mlp, 0, 16_384)
        if own_d_head == 0:
            if self.d_model % self.n_heads:
                heads = f"{self.n_heads} heads"
                raise ValueError(
                    f"Width {self.d_model} cannot be shared by {heads}. Try width {self._fitting_width()}."
                )
            object.__setattr__(self, "d_head", self.d_model // self.n_heads)
        if self.positions == "rotary" and self.d_head % 2:
            better = f"d_head {self.d_head + 1}" if own_d_head else f"width {self._fitting_width()}"
            what = f"the width of a head must be even, not {self.d_head}"
            raise ValueError(f"Rotary positions turn pairs of numbers, so {what}. Try {better}.")
        if self.positions == "sinusoidal" and self.d_model % 2:
            better = str(self.d_model + 1 if own_d_head else self._fitting_width())
            raise ValueError(f"Sinusoidal positions need an even width, not {self.d_model}. Try width {better}.")
        if self._size(self.d_model, own_d_head) > MAX_PARAMETERS:
            better = str(self._fitting_width(own_d_head))
            raise ValueError(f"This model would have more than {MAX_PARAMETERS:,} parameters. Try width {better}.")

    def _size(self, width: int, d_head: int) -> float:
        """About how many parameters a model of another width has, whose MLP is as many widths wide as this one's."""
        heads, mlp = self.n_heads * d_head or width, self.width_of_mlp * width / self.d_model
        return self.n_layers * (4 * width * heads + 2 * width * mlp) + self.d_vocab * width

    def _fitting_width(self, d_head: int = 0) -> int:
        """The width nearest to the one asked for that works with all the rest; 2 where none does."""
        shared = 1 if d_head else self.n_heads * (2 if self.positions == "rotary" else 1)
        widest = min(4096, 16_384 * self.d_model // max(1, self.width_of_mlp))
        # A model grows with its width, so of all that can be shared the first below the limit is the largest.
        step = math.lcm(2, shared)
        low, high = 0, widest // step
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self._size(middle * step, d_head) <= MAX_PARAMETERS else (low, middle - 1)
        return max(2, step * min(low, max(1, round(self.d_model / step))))

    def n_pattern_cells(self, n_tokens: int) -> int:
        """How many numbers the patterns of all heads over so many tokens are; of more than n_ctx the newest count.

        >>> GPTConfig(n_layers=2, n_heads=4, n_ctx=64).n_pattern_cells(10)
        800
        """
        return self.n_layers * self.n_heads * min(n_tokens, self.n_ctx) ** 2

    @property
    def width_of_mlp(self) -> int:
        """d_mlp as a plain int: after validation it is never None."""
        return self.d_mlp or 0

    @property
    def n_params(self) -> int:
        """How many numbers training can change in a model of this shape, without making one."""
        width, bias = self.n_heads * self.d_head, int(self.bias)
        attention = (self.d_model + bias) * 3 * width + (width + bias) * self.d_model
        mlp = (self.d_model + bias) * self.width_of_mlp + (self.width_of_mlp + bias) * self.d_model
        norm = (1 + bias) * self.d_model if self.layer_norm else 0
        layer = norm + attention + (norm + mlp if self.width_of_mlp else 0)
        tables = self.d_vocab * (1 if self.tie_unembedding else 2)
        tables += self.n_ctx if self.positions == "learned" else 0
        return tables * self.d_model + self.n_layers * layer + norm


@dataclass(frozen=True)
class TrainingConfig:
    """How a model is trained.

    learning_rate: the peak; None means the optimiser's own good value. With Muon it is the step of the matrices,
        and embeddings and vectors move with AdamW at a third of it.
    warmup_steps: the learning rate rises linearly over these, then falls along a cosine to `final_lr_fraction` of it.
    clip_norm: the gradient's largest allowed norm; 0 switches clipping off.
    validation_fraction: share of the tokens that the model never trains on.
    validation_place: where they stand: at the "end" of the text, or "spread" over it in pieces. A text of one's own may
        end unlike the rest, and then its end says little of the rest: see benchmarks/held_out.py.
    eval_every: validation loss and a sample come after each so many steps; None means twenty times in a run.
    sample_tokens: length of that sample; 0 writes none.
    windows: the stretches of text that a batch is made of. They begin "anywhere"; or at "line starts"; or there, and
        end with their line, in "single lines", each a text of its own; or in "chunks" side by side, which is a mistake:
        the step from one chunk to the next is never seen.
    softmax_twice: a mistake as well: the loss takes probabilities for logits.
    """

    steps: int = 400
    batch_size: int = 12
    optimiser: OptimiserName = "muon"
    learning_rate: float | None = None
    warmup_steps: int = 20
    final_lr_fraction: float = 0.05
    clip_norm: float = 1.0
    weight_decay: float = 0.0
    validation_fraction: float = 0.1
    validation_place: ValidationPlace = "end"
    eval_every: int | None = None
    sample_tokens: int = 32
    seed: int = 0
    windows: Windows = "anywhere"
    softmax_twice: bool = False

    def __post_init__(self) -> None:
        check_whole("steps", self.steps, 1, 100_000)
        check_whole("batch_size", self.batch_size, 1, 1024)
        check_one_of("optimiser", self.optimiser, OptimiserName)
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", 0.03 if self.optimiser == "muon" else 0.005)
        check_number("learning_rate", self.learning_rate, 1e-8, 100)
        check_whole("warmup_steps", self.warmup_steps, 0, 100_000)
        check_number("final_lr_fraction", self.final_lr_fraction, 0, 1)
        check_number("clip_norm", self.clip_norm, 0, 1e6)
        check_number("weight_decay", self.weight_decay, 0, 10)
        check_number("validation_fraction", self.validation_fraction, 0.01, 0.5)
        check_one_of("validation_place", self.validation_place, ValidationPlace)
        if self.eval_every is None:
            object.__setattr__(self, "eval_every", max(1, self.steps // 20))
        check_whole("eval_every", self.eval_every, 1, 100_000)
        check_whole("sample_tokens", self.sample_tokens, 0, 1000)
        check_whole("seed", self.seed, 0, 2**31 - 1)
        check_one_of("windows", self.windows, Windows)
        if not isinstance(self.softmax_twice, bool):
            raise ValueError(f"softmax_twice must be True or False, not {self.softmax_twice!r}.")

    @property
    def peak_learning_rate(self) -> float:
        """learning_rate as a plain float: after validation it is never None."""
        return self.learning_rate or 0.0


@dataclass(frozen=True)
class SamplingConfig:
    """How the next token is chosen.

    temperature: 0 takes the most probable token (greedy), 1 samples as the model predicts, more is wilder.
    top_k: keep only the k most probable tokens; None keeps all.
    top_p: keep the fewest tokens whose probabilities sum to at least p (nucleus sampling); None keeps all.
    """

    max_new_tokens: int = 40
    temperature: float = 0.8
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole("max_new_tokens", self.max_new_tokens, 1, 10_000)
        check_number("temperature", self.temperature, 0, 100)
        if self.top_k is not None:
            check_whole("top_k", self.top_k, 1, 1_000_000)
        if self.top_p is not None:
            check_number("top_p", self.top_p, 0, 1)
        check_whole("seed", self.seed, 0, 2**31 - 1)


@dataclass(frozen=True)
class Preset:
    """A named size for the page: from "see it in seconds" to "make coffee"."""

    title: str
    config: GPTConfig
    training: TrainingConfig = field(default_factory=TrainingConfig)


PRESETS: dict[str, Preset] = {
    "small": Preset("small", GPTConfig(d_model=64, n_heads=4, n_layers=2)),
    "wide": Preset("wide", GPTConfig(d_model=96, n_heads=4, n_layers=2), TrainingConfig(steps=600)),
    "deep": Preset("deep", GPTConfig(d_model=64, n_heads=4, n_layers=4), TrainingConfig(steps=600)),
    "no MLP": Preset("no MLP", GPTConfig(d_model=64, n_heads=4, n_layers=2, d_mlp=0)),
}


def check_memory(config: GPTConfig, training: TrainingConfig) -> None:
    """Raise ValueError where one step would not fit a small shared server.

    Counts the numbers that one forward pass keeps for the backward one: residual streams, patterns and logits.
    """
    if training.batch_size <= (fitting := _fitting_batch(config, config.n_ctx)):
        return
    what = f"A batch of {training.batch_size} texts of {config.n_ctx} tokens is too large for this machine."
    context = config.n_ctx
    while not _fitting_batch(config, context):
        context //= 2
    raise ValueError(
        f"{what} Try a batch of {fitting or _fitting_batch(config, context)}"
        + ("." if fitting else f" and a context of {context}.")
    )


def _fitting_batch(config: GPTConfig, n_ctx: int) -> int:
    """The largest batch for which there is room, 0 where there is none for a single text."""
    per_token = config.n_layers * (8 * config.d_model + 2 * config.width_of_mlp + 2 * config.n_heads * n_ctx)
    return MAX_ACTIVATIONS // (n_ctx * (per_token + 2 * config.d_vocab))
