"""The paths of the two Markov lessons."""

from minigpt.ui.guides.steps import CURVE, GRID, NOTES, TEXT, Question, Step, break_it, show, train

MARKOV = (
    Step(
        TEXT,
        "Every letter is drawn with chances that depend on the one letter before it, and on nothing else. A table "
        "of six rows would be a perfect model.",
    ),
    Step(
        CURVE,
        "Two lines lie close together here: letter pairs and the best possible.",
        Question(
            "Why do they?",
            ("By accident", "The text is short", "Pairs are all that there is to know"),
            2,
            "Because pairs are all that there is to know. Counting pairs is already the perfect model.",
        ),
    ),
    train("Press Train. The loss falls to the green line within a second or two and stays there."),
    Step(
        GRID,
        "The heads look at something, as heads always do.",
        Question(
            "What do their patterns mean here?",
            ("They find the rule", "Nothing that matters", "They count letters"),
            1,
            "Nothing that matters. The letter itself is enough, so no look at others can help; not every "
            "picture has a meaning.",
        ),
    ),
    break_it(
        "Now leave one layer only. If heads do not matter, half of them can go.",
        Question(
            "What will the loss do?",
            ("Reach the same line", "Get worse"),
            0,
            "It reaches the same line. A model of one letter of memory needs no second layer.",
        ),
        "layer",
    ),
    Step(NOTES, "Read the gap to the best possible once more. No larger model could make it smaller.", tells="losses"),
)

MARKOV2 = (
    Step(
        TEXT,
        "This looks like the other Markov text, but here the chances depend on the last two letters. One letter of "
        "memory is no longer enough.",
    ),
    Step(
        CURVE,
        "Now the green line lies well below the line of letter pairs.",
        Question(
            "What must a model do to get from the dotted line to the green one?",
            ("Look at the letter before the last", "Look at the whole text", "Count letters"),
            0,
            "Look one letter back. The newest letter it has anyway; the one before it must be fetched by a head.",
        ),
    ),
    train(
        "Press Train. The curve goes through the line of pairs early, within the first steps; Step takes them singly."
    ),
    Step(
        NOTES,
        "The line here says which head looks one letter back, and how strongly.",
        Question(
            "By when must that head have been there?",
            ("When the loss went below the line of pairs", "At the end of training", "It need not be there"),
            0,
            "When the loss went below the line. Without the letter before no model gets there, so a head fetched it.",
        ),
    ),
    show("A line just beside the diagonal: every row looks one place back. This time the pattern means something."),
    break_it(
        "Now take the positions away. Which letters came before is still known, but not which came last.",
        Question(
            "Can a head still find the letter before?",
            ("Yes, by its name", "No, not cleanly"),
            1,
            "Not cleanly. Without positions all earlier letters of one name look the same.",
        ),
        "positions",
    ),
    Step(NOTES, "When it has finished, look where the loss has come to rest.", tells="losses"),
)
