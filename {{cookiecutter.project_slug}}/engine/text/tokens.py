"""How long the model's input is, about."""

import json
import re

# English has about four bytes a token, other scripts nearer three. Counting exactly would need
# the tokenizer's tables, which are downloaded when first used.
BYTES_PER_TOKEN = 3

# A picture or a document costs what the model sees in it, and not its bytes.
FILE_TOKENS = 1_500
# By its key: a text that looks like a file is counted as text.
_FILE = re.compile(r'"(?:image_url|file_data)": "data:[\w.+-]+/[\w.+-]+;base64,[^"]*"')


def tokens_of(value: object) -> int:
    """About as many tokens as this has, as JSON."""
    text, files = _FILE.subn('""', json.dumps(value, ensure_ascii=False))
    return len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN + FILE_TOKENS * files
