"""Estimates the number of tokens in the model's input."""

import json
import re

# English has about four bytes per token, other scripts about three. An exact count would need the
# tokenizer's tables, which are downloaded on first use.
BYTES_PER_TOKEN = 3

# The cost of an image or a document does not depend on the number of its bytes.
FILE_TOKENS = 1_500
# Matched with its key, so that a message text that looks like a file is counted as text.
_FILE = re.compile(r'"(?:image_url|file_data)": "data:[\w.+-]+/[\w.+-]+;base64,[^"]*"')


def tokens_of(value: object) -> int:
    """The estimated number of tokens of a value, as JSON."""
    text, files = _FILE.subn('""', json.dumps(value, ensure_ascii=False))
    return len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN + FILE_TOKENS * files
