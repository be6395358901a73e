"""What a person can choose, validated once, at the door: every error says what would have worked."""

from dataclasses import dataclass, field
from typing import Literal, get_args

Positions = Literal["rotary", "sinusoidal", "learned", "none"]
ActFn = Literal["relu", "gelu", "gelu_tanh", "silu"]
OptimiserName = Literal["muon", "adamw"]
TokenizerKind = Literal["word", "character", "bpe"]
Windows = Literal["anywhere", "line starts", "single lines", "chunks"]

# Far beyond what two cores train in a lesson; near enough that a slip of the keyboard cannot exhaust a shared server.
MAX_PARAMETERS = 100_000_000
MAX_ACTIVATIONS = 500_000_000


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raise ValueError, naming the setting and its limits, unless the value is a whole number within them."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low:,} to {high:,}, not {value!r}.")


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Raise ValueError, naming the setting and its limits, unless the value is a number within them."""
    # `not low <= value` also refuses NaN.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, not {value!r}.")


def check_one_of(name: str, value: object, allowed: object) -> None:
    """Raise ValueError, naming the choices, unless the value is one of a `Literal`'s."""
    names = get_args(allowed)
    if value not in names:
        raise ValueError(f"{name} must be one of {', '.join(names)}, not {value!r}.")


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
        check_whole("d_head", self.d_head, 0, 1024)
        check_one_of("positions", self.positions, Positions)
        check_one_of("act_fn", self.act_fn, ActFn)
        for name in ("causal", "scale_scores", "layer_norm", "residual", "bias", "tie_unembedding"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, not {getattr(self, name)!r}.")
        if self.init_std is not None:
            check_number("init_std", self.init_std, 0, 10)
        if self.d_head == 0:
            if self.d_model % self.n_heads:
                raise ValueError(
                    f"d_model {self.d_model} cannot be shared by {self.n_heads} heads; "
                    f"{self.d_model // self.n_heads * self.n_heads or self.n_heads} can."
                )
            object.__setattr__(self, "d_head", self.d_model // self.n_heads)
        if self.d_mlp is None:
            object.__setattr__(self, "d_mlp", 4 * self.d_model)
        check_whole("d_mlp", self.d_mlp, 0, 16_384)
        if self.positions == "rotary" and self.d_head % 2:
            raise ValueError(f"Rotary positions turn pairs of numbers, so d_head must be even, not {self.d_head}.")
        if self.positions == "sinusoidal" and self.d_model % 2:
            raise ValueError(f"Sinusoidal positions need an even d_model, not {self.d_model}.")
        size = self.n_layers * (4 * self.d_model * self.n_heads * self.d_head + 2 * self.d_model * self.width_of_mlp)
        if size + self.d_vocab * self.d_model > MAX_PARAMETERS:
            raise ValueError(f"This model would have more than {MAX_PARAMETERS:,} parameters; make d_model smaller.")

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
    validation_fraction: share of the tokens, from the end of the text, that the model never trains on.
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
    per_token = config.n_layers * (8 * config.d_model + 2 * config.width_of_mlp + 2 * config.n_heads * config.n_ctx)
    fitting = MAX_ACTIVATIONS // (config.n_ctx * (per_token + 2 * config.d_vocab))
    if training.batch_size > fitting:
        what = f"A batch of {training.batch_size} texts of {config.n_ctx} tokens is too large for this machine."
        better = (
            f"Try a batch of {fitting}, or a smaller context." if fitting else "Try a smaller context, or fewer heads."
        )
        raise ValueError(f"{what} {better}")
