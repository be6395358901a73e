"""The paths of the lessons that are lines of letters: echo, reverse, brackets."""

from minigpt.ui.guides.steps import CURVE, GRID, HEAD, NOTES, PROMPT, TEXT, Question, Step, break_it, show, train

ECHO = (
    Step(
        TEXT,
        "Every line holds a few letters in random order, a bar, and the same letters again. Whoever can copy knows "
        "everything after the bar, and nothing before it.",
    ),
    Step(
        CURVE,
        "Before any training: the dotted lines need no model, only counting. The loss is surprise, so lower is better.",
        Question(
            "How low can the loss of the best possible model get?",
            ("To zero, with enough training", "To the green line", "To the lowest dotted line"),
            1,
            "To the green line. Letters drawn at random stay a surprise for ever, and only those after the bar do not.",
        ),
    ),
    train(
        "Press Train and watch the blue line. It rests for a while and then falls off a cliff: there two heads "
        "have begun to work together."
    ),
    Step(
        PROMPT,
        "The prompt qkzvb|qkz stops in the middle of a copy. The next letter must be v.",
        Question(
            "Where must a head look from the last z, to know that v comes next?",
            ("At the bar", "At the earlier z", "At the v after the earlier z"),
            2,
            "At the v. A head hands on what it looks at, so it must land on the letter to write; such a head is "
            "called an induction head.",
        ),
    ),
    show(
        "Here is the head that does it best, and the outlined row is the last z. Follow the row to its strongest "
        "cell, then read the letter below the column."
    ),
    Step(
        GRID,
        "Layer 2 finds the letter that came after an earlier z. But how can it know, looking at v, what stood "
        "before v?",
        Question(
            "Who told the v that a z stood before it?",
            ("A head of layer 1 did", "The training text did", "Nobody: it guesses"),
            0,
            "A head of layer 1. It looks mostly one place back, so that every letter carries a note of the one before "
            "it; open the tiles of layer 1 and find the blurred line beside the diagonal.",
        ),
    ),
    break_it(
        "Now break it: without the causal mask every letter may look ahead. The same seed, the same text, one "
        "thing less.",
        Question(
            "What will the loss do?",
            ("Stop at the green line, as before", "Fall below the green line", "Stay high"),
            1,
            "It falls below the best possible. The model reads the next letter instead of predicting it: that is "
            "cheating, not learning.",
        ),
        "mask",
    ),
    Step(
        NOTES,
        "When it has finished, look at the triangle that used to be empty: there it reads the answers. Then read "
        "how often it is right when there is nothing ahead to read.",
        tells="accuracy",
    ),
)

REVERSE = (
    Step(
        TEXT,
        "Every line holds a few letters, a bar, and the same letters backwards. Read one aloud from the end and "
        "you hear its second half.",
    ),
    train("Press Train. The loss rests at first, because to go backwards the model must learn where to look."),
    Step(
        PROMPT,
        "The prompt qkzvb|bvz has written three letters of the way back. Now k must come.",
        Question(
            "From z to k to q: how does the place to look at move?",
            ("One step forwards each time", "One step backwards each time", "It stays at the bar"),
            1,
            "Backwards, while the writing goes forwards. Drawn as rows and columns that is an anti-diagonal.",
        ),
    ),
    show(
        "Here it is, the row of z outlined. Its strongest cell stands under the copy of z or the letter before that, "
        "and the rows above it lean the other way than a copy would."
    ),
    break_it(
        "Now take the positions away. The model still sees which letters came, but not where.",
        Question(
            "What will be left?",
            ("Everything: letters are enough", "Nothing at all", "Some of it: the mask alone tells a little"),
            2,
            "Some of it. The causal mask alone lets a model guess how far a line has come, but not cleanly.",
        ),
        "positions",
    ),
    Step(
        NOTES,
        "When it has finished, compare the share of attention with the one before. A pattern that needs order "
        "cannot stand without positions.",
        tells="finding",
    ),
)

BRACKETS = (
    Step(
        TEXT,
        "Every line opens brackets of four kinds and closes them, the last one first. A coin decides whether to "
        "open another; which one must be closed is certain.",
    ),
    Step(
        PROMPT,
        "The prompt {([]<> has two brackets open. The square and the pointed pair are closed and done with.",
        Question(
            "Which bracket can be closed next?",
            ("The } of the first {", "The ) of the (", "Either"),
            1,
            "The ) of the (. The last one that is still open closes first.",
        ),
    ),
    train("Press Train and give it some seconds. This one is hard: the model has to keep count."),
    Step(
        HEAD,
        "From the last > a head must find the ( that is still open. Nearer to it stand two brackets that are not.",
        Question(
            "Can the nearest opening bracket be the right one?",
            ("Only if nothing was closed in between", "Yes, always"),
            0,
            "Only then. So the head must jump over what is closed, and for that it must know how deep each bracket "
            "lies.",
        ),
    ),
    show("The outlined row is the last >. Its strongest cell stands under the bracket that must be closed next."),
    Step(
        GRID,
        "Now open layer 1: mostly fog, spread over all that came before. An average of what opened and what closed is "
        "a count of depth, and layer 2 needs it to know where to land.",
    ),
    break_it(
        "Now take the positions away. The brackets are still there, but not which of them came last.",
        Question(
            "What will the loss do?",
            ("Reach the green line, later", "Stay above the green line"),
            1,
            "It stays above. Of two open brackets the head cannot tell the nearer one, and only that one may close.",
        ),
        "positions",
    ),
    Step(NOTES, "When it has finished, compare the share of attention with the one before.", tells="finding"),
)
