"""The path of the debugging lesson: five cases, each with a mistake that the reader finds by its symptom."""

from minigpt.ui.guides.steps import CURVE, GRID, HEAD, SAMPLE, TEXT, WRITTEN, Question, Step

_CAUSES = (
    "The loss takes a softmax of a softmax",
    "The scores are not divided by √d_head",
    "The model gets no positions",
    "The text is cut into chunks of five",
    "The prompt gets a vocabulary of its own",
)


# Where the right cause stands among the five, for each case: not where one would expect it.
_PLACES = (2, 0, 4, 1, 3)


def _case(number: int, says: str, at: str, name: str, cause: int, reveal: str) -> Step:
    right = _PLACES[number - 1]
    turned = tuple(_CAUSES[(cause - right + place) % len(_CAUSES)] for place in range(len(_CAUSES)))
    question = Question("Train it, look, write with it. What is wrong?", turned, right, reveal)
    return Step(at, says, question, does=f"train {name}", label=f"Train case {number}")


DEBUGGING = (
    Step(
        TEXT,
        "The text is that of Echo: letters, a bar, the same letters. The notebook from which this project grew made "
        "five mistakes; each of the next cases hides one of them.",
    ),
    _case(
        1,
        "Case 1: the loss stays close under the dotted lines and hardly moves. Yet press Generate: the model is sure "
        "of what it writes, and it is wrong.",
        CURVE,
        "softmax",
        0,
        "A softmax of a softmax. The loss does a softmax itself; given probabilities it can never get low, and what it "
        "still rewards is to be sure, whether right or wrong.",
    ),
    _case(
        2,
        "Case 2: every row of the heads is one hard spike, in places that mean nothing. The loss creeps.",
        GRID,
        "scaling",
        1,
        "No scaling. Without the division by √d_head the scores lie so far apart that the softmax puts all on one "
        "token, and then it hardly learns.",
    ),
    _case(
        3,
        "Case 3: read the lines that it writes by itself. After the bar come letters of the line, but some are dropped "
        "and others stand in the wrong place; the loss rests half-way.",
        SAMPLE,
        "positions",
        2,
        "No positions. The model sees which letters came, and nothing of the order in which they came.",
    ),
    _case(
        4,
        "Case 4: the loss stops where letter pairs stop. The heatmaps are four tokens wide.",
        HEAD,
        "chunks",
        3,
        "Chunks of five. No window ever held both copies, and each step from one chunk to the next was never seen.",
    ),
    _case(
        5,
        "Case 5: the curve is perfect, and so are the lines that it writes by itself. Yet what it writes after your "
        "prompt is nonsense.",
        WRITTEN,
        "vocabulary",
        4,
        "A vocabulary of its own. The ids of the prompt mean other letters than in training, so the model continues a "
        "line that you did not write.",
    ),
    Step(
        CURVE,
        "Five mistakes, and none of them raised an error. A model that learns something is no proof that the code is "
        "right: know what the loss could be, and look at what it writes.",
    ),
)
