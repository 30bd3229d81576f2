"""What a tool raises when it will not do what the model asks for."""


class ToolRefusal(Exception):
    """The message says why, in one line that the model reads."""
