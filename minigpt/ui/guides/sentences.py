"""The paths of the lessons that are made of words: stories, agreement, essay."""

from minigpt.ui.guides.steps import BARS, CURVE, GRID, NOTES, PROMPT, TEXT, Question, Step, break_it, show, train

STORIES = (
    Step(
        TEXT,
        "Short stories about who did what to whom. Everybody keeps one adjective for a whole story, so after “the "
        "small” only one word can follow.",
    ),
    Step(
        CURVE,
        "No green line stands here: nobody knows how well such stories can be predicted. The dotted lines are "
        "still honest company.",
        Question(
            "Which line must be left behind before the model can know who is in a story?",
            ("Even guess", "Word counts", "Word pairs"),
            2,
            "Word pairs. They know that a noun follows small, but not which one it was in this story.",
        ),
    ),
    train("Press Train and read what it writes as it learns. First come words, then sentences, then people."),
    Step(
        PROMPT,
        "The prompt tells of an old king and a small dog, and stops after “the small”. The story has only one "
        "small creature.",
        Question(
            "Where should a head look from the last small?",
            ("At king", "At dog", "At once"),
            1,
            "At dog, the word that came after small the last time. It is the same trick as in Echo, in words.",
        ),
    ),
    show("The outlined row is the last small. Read under its strong cells whom the model has in mind to copy."),
    Step(
        BARS,
        "The bars are its guesses for the next word. Sometimes the wrong name is the longest: a head that looks "
        "right is no proof that the model writes right.",
    ),
    break_it(
        "Now leave one layer only. A head can then not know what stood before the word it looks at.",
        Question(
            "Will it still know that the small one is the dog?",
            ("Less well", "Yes, as before"),
            0,
            "Less well. It can still look at who is there, but which of them stood after small nobody has told it.",
        ),
        "layer",
    ),
    Step(NOTES, "When it has finished, compare what the best head does now.", tells="finding"),
)

AGREEMENT = (
    Step(
        TEXT,
        "In each sentence the verb goes with the first noun: the dogs near the king run. Nouns that stand nearer "
        "are there to mislead.",
    ),
    Step(
        CURVE,
        "Word pairs know that a noun follows an adjective, and which nouns are singular. The loss must get below "
        "their dotted line to know more.",
        Question(
            "Do word pairs know which verb fits in “the dogs near the king …”?",
            ("Yes, they see the noun before the verb", "No, that noun is the wrong one"),
            1,
            "No. They see king and say runs; only who looks back to dogs says run.",
        ),
    ),
    train("Press Train; it takes a few seconds. Watch the line below the curve, which says what a head does."),
    Step(
        PROMPT,
        "The prompt ends with king, and the next word is a verb or one more phrase. Its verb must be plural.",
        Question(
            "Where will the best head look from king?",
            ("At king itself", "At the", "At dogs, over everything in between"),
            2,
            "At dogs. Nobody told it that there are subjects: looking there simply made the loss smaller.",
        ),
    ),
    show("The outlined row is king, and its strong cell stands under the subject. The nearer noun gets little."),
    Step(
        BARS,
        "These are the likeliest next words. Runs and run differ by one letter and by one look back; change dogs "
        "to dog in the prompt and generate again.",
    ),
    break_it(
        "Now leave the model only one layer. One thing is taken away, nothing else.",
        Question(
            "Will it still find the subject?",
            ("Yes, one look back is enough", "No, this needs two layers"),
            0,
            "Yes, or nearly: the subject can be told by its own look, so one layer can do most of it. Not all that "
            "looks clever is deep.",
        ),
        "layer",
    ),
)

ESSAY = (
    Step(
        TEXT,
        "A real text of some three thousand words, no generator behind it. It tells how people learned to predict "
        "words, from Markov to transformers.",
    ),
    Step(
        CURVE,
        "Two curves will appear. Train is the loss on what the model learns from, validation the loss on the last "
        "tenth, which it never sees.",
        Question(
            "What will the two do, if training goes on and on?",
            ("Fall together", "Train falls, validation turns up", "Both turn up"),
            1,
            "Train falls, validation turns up. A text this short can be learned by heart, and what is learned by "
            "heart does not help with new words.",
        ),
    ),
    train("Press Train and watch the orange line. Its lowest point comes soon."),
    Step(
        NOTES,
        "The line here says how far validation has turned up from its best. From there on the model only got worse "
        "at what it had not seen.",
        tells="losses",
    ),
    Step(
        GRID,
        "Look through the heads.",
        Question(
            "Will you find a crisp pattern, as in the made-up lessons?",
            ("Yes, in every head", "Rarely: mostly fog"),
            1,
            "Mostly fog. A minute of training on free text makes no clean heads; that is why the other lessons are "
            "made up.",
        ),
    ),
    break_it(
        "Now take the positions away and train again.",
        Question(
            "Will it still learn the text by heart?",
            ("Yes, nearly as well", "No"),
            0,
            "Yes, nearly. Which words stand before says almost everything in a text that is known by heart.",
        ),
        "positions",
    ),
)
