"""Tokens that something on their way to the screen would like to read as more than text."""

NASTY = (
    *("<b>bold</b>", "<script>alert(1)</script>", "%{z}", "$x^2$", "${alert(1)}", "<extra>", "&amp;", "\n", "\t", " "),
    *("", "\u202eevil", "a\u200bb", "\x00", "\ud800", "\u0301", "2024-01-01", "2024-01-02", "the", "the", "#FFFFFF"),
    *("1e5", "عربي", "👩\u200d💻", "x" * 40),
)
