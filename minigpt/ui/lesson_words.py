"""What the page says about a lesson: where its floor comes from, whether its promise is kept, and its guide."""

from minigpt.breaks import BREAKS
from minigpt.corpora import LESSONS, Lesson
from minigpt.history import History
from minigpt.promises import TIMES_CHANCE, Finding
from minigpt.runs import ACTIVE, Progress, RunSettings
from minigpt.ui.fragment import Node, h
from minigpt.ui.guides import GUIDES, Place, Question

# What a button of the guide says to the page; an answer is ANSWER plus its place.
CLOSE, BACK, NEXT, DO, ANSWER = 0, 1, 2, 3, 10


def floor_note(settings: RunSettings, history: History) -> list[Node]:
    """Where the line “best possible” comes from, in one sentence; nothing where there is no such line."""
    lesson, floor = settings.taught(), history.references.floor
    if lesson is None or floor is None:
        return []
    return [h("p", h("b", f"Best possible {floor:.2f}. "), lesson.floor_from, cls="mg-note")]


def lesson_notes(progress: Progress) -> list[Node]:
    """Below the curve: where the floor comes from, and whether what the lesson promises is there by now."""
    lesson, settings = progress.settings.taught(), progress.settings
    notes = floor_note(settings, progress.history)
    if lesson is None or progress.finding is None or keeps_a_secret(settings):
        return notes
    for name in settings.breaks:
        title = BREAKS[name].title
        notes.append(h("p", h("b", f"{title[0].upper()}{title[1:]}. "), BREAKS[name].why, cls="mg-note"))
    return [*notes, *promise(progress, lesson)]


def keeps_a_secret(settings: RunSettings) -> bool:
    """Whether the reader is to find out what is wrong with this run: then nothing on the page may say it."""
    return settings.lesson == "debugging" and bool(settings.breaks)


def promise(progress: Progress, lesson: Lesson) -> list[Node]:
    """Whether the promise is kept, since when, by which head; with a button that shows the place."""
    finding = progress.finding
    if finding is None:
        return []
    head, said = verdict(progress, finding, lesson)
    if not head:
        return [h("p", said, cls="mg-note")]
    mark = h("i", "✓" if finding.kept else "○", aria_hidden="true")
    show = h("button", "Show me", type="button", data_index="0", cls="mg-show")
    return [h("div", mark, h("p", h("b", f"{head} "), f"{said} ", show), cls="mg-promise", role="status")]


def verdict(progress: Progress, finding: Finding, lesson: Lesson) -> tuple[str, str]:
    """Whether the promise is kept and since when, and what was measured; no verdict where nothing can be promised."""
    if lesson.promise.share is not None and (finding.share is None or needed(finding, lesson) > 0.95):
        return "", "With these settings there is nothing to look back at, so no pattern is promised."
    yet = " yet" if progress.status in ACTIVE else ""
    since = f" since step {progress.found_at:,}" if progress.found_at else ""
    head = f"There{since}." if finding.kept else f"Not there{yet}."
    return head, measured(finding, lesson) + (accuracy(finding, lesson) if progress.settings.breaks else "")


def needed(finding: Finding, lesson: Lesson) -> float:
    """The share of attention that keeps the promise: what the lesson asks, and some times chance as well."""
    return max(lesson.promise.share or 0, TIMES_CHANCE * (finding.chance or 0))


def measured(finding: Finding, lesson: Lesson) -> str:
    """What the promise is about, in numbers: “Layer 2 head 3 puts 93% of its attention on …, 11 × chance.”"""
    asked = lesson.promise
    if finding.share is not None and finding.chance:
        promised = "" if finding.share >= needed(finding, lesson) else f" Promised: {needed(finding, lesson):.0%}."
        if asked.layer is not None and finding.layer != asked.layer:
            promised = f" Promised: in layer {asked.layer + 1}."
        head = f"Layer {finding.layer + 1} head {finding.head + 1}"
        times = finding.share / finding.chance
        ratio = f"{times:.0f}" if times >= 10 else f"{times:.1f}".removesuffix(".0")
        return f"{head} puts {finding.share:.0%} of its attention on {asked.where}, {ratio} × chance.{promised}"
    if finding.turn is not None:
        return f"Validation has turned up by {finding.turn:.2f} from its best."
    if finding.gap is not None:
        return f"Validation is {abs(finding.gap):.2f} {'above' if finding.gap >= 0 else 'below'} the best possible."
    return "This model cannot show it."


def accuracy(finding: Finding, lesson: Lesson) -> str:
    """How often the model is right where one can be, given only what stands before; "" where nothing is certain."""
    if finding.accuracy is None:
        return ""
    return f" From a prefix it writes {finding.accuracy:.0%} of what stands {lesson.promise.knowable} right."


def guide_offer(place: Place, lesson: str) -> list[Node]:
    """The button that starts a lesson's guided path, or goes on where the reader left it."""
    if lesson not in GUIDES:
        return []
    resumed = place.lesson == lesson and place.step > 0
    said = f"Guide, step {place.step + 1} of {len(GUIDES[lesson])}" if resumed else "Guide me"
    return [h("button", said, type="button", data_index="0", cls="mg-offer")]


def guide(place: Place, progress: Progress | None) -> list[Node]:
    """The card of the guide at a place; nothing where no guide is open."""
    steps = GUIDES.get(place.lesson)
    if steps is None:
        return []
    step, last = steps[place.step], place.step == len(steps) - 1
    title = f"{LESSONS[place.lesson].title.partition(':')[0]}, step {place.step + 1} of {len(steps)}"
    asked = step.question is not None and place.answer is None
    body: list[Node] = [h("p", step.says)]
    if step.question:
        body += _question(step.question, place.answer)
    told = _told(step.tells, progress)
    body += [h("p", told, cls="mg-told", role="status")] if told else []
    moves = [h("button", "Back", type="button", data_index=str(BACK), **({} if place.step else {"disabled": ""}))]
    # A case of the debugging lesson must be trained before it can be judged; elsewhere the prediction comes first.
    if step.does and (place.lesson == "debugging" or not asked):
        moves.append(h("button", step.label, type="button", data_index=str(DO), cls="mg-do"))
    moves.append(h("button", "Done" if last else "Next", type="button", data_index=str(NEXT), cls="mg-next"))
    return [
        h(
            "section",
            h("header", h("h3", title), h("button", "Close", type="button", data_index=str(CLOSE))),
            *body,
            h("div", *moves, cls="mg-moves"),
            cls="mg-guide",
            role="dialog",
            aria_label=f"Guide to {title}",
            tabindex="-1",
            data_at=step.at,
            data_step=f"{place.lesson} {place.step}",
        )
    ]


def _question(question: Question, answer: int | None) -> list[Node]:
    options: list[Node] = []
    for index, text in enumerate(question.options):
        mark = ""
        if answer is not None:
            mark = " right" if index == question.right else " wrong" if index == answer else ""
        sign = {" right": "✓", " wrong": "✗"}.get(mark, str(index + 1))
        options.append(
            h(
                "button",
                h("i", sign, aria_hidden="true"),
                text,
                type="button",
                data_index=str(ANSWER + index),
                aria_pressed="true" if index == answer else "false",
                cls=f"mg-option{mark}",
                **({} if answer is None else {"disabled": ""}),
            )
        )
    asks = h("p", h("b", "Predict: "), question.asks)
    if answer is None:
        return [asks, *options]
    verdict = "As you said. " if answer == question.right else "Not quite. "
    return [asks, *options, h("p", h("b", verdict), question.reveal, role="status")]


def _told(tells: str, progress: Progress | None) -> str:
    """The fact about the run at hand that a step of the guide needs."""
    if not tells:
        return ""
    lesson = progress.settings.taught() if progress else None
    if progress is None or lesson is None or progress.finding is None:
        return "Nothing is trained yet: the number comes with a run."
    if progress.status in ACTIVE:
        return f"Training, step {progress.step:,} of {progress.n_steps:,}: the number comes at the end."
    losses = f"Validation {progress.history.validation[-1][1]:.2f}"
    floor = progress.history.references.floor
    losses += f", best possible {floor:.2f}." if floor is not None else "."
    finding = progress.finding
    found = measured(finding, lesson)
    return {
        "losses": losses if finding.turn is None else f"{losses} {found}",
        "finding": found,
        "accuracy": f"{losses}{accuracy(finding, lesson)}",
    }[tells]
