"""Text from requests, made fit to be shown."""


def plain(text: str) -> str:
    """Text of a request must not move the reader's cursor or turn the direction of writing."""
    if text.replace("\n", "").isprintable():  # nearly all text is, and long ones take their time
        return text
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
