"""Advice for errors of uv and pip that cannot fetch packages. Standard library only."""

import os
import re

# What uv or pip says -> what to do about it. The first that fits counts.
MENDS = {
    r"peer certificate|certificate[ _]verify[ _]failed|self.signed certificate": (
        "The package index, or a proxy before it, has a certificate of an authority that is not "
        "known here. Set SSL_CERT_FILE to a file with that authority's certificate (PEM)."
    ),
    r"network connectivity is disabled|network was disabled|--offline": (
        "uv was told to stay offline, and its cache lacks packages. Unset UV_OFFLINE."
    ),
    r"dns error|error trying to connect|failed to fetch|tcp connect error|connection refused|"
    r"network is unreachable|temporary failure in name resolution|no matching distribution": (
        "The package index does not answer. Is this machine online? Behind a proxy or a mirror: "
        "HTTPS_PROXY, UV_DEFAULT_INDEX and pip's own settings are respected."
    ),
}

# pip's line for each further try, which says in 400 characters what its error says again.
RETRIES = re.compile(r"^WARNING: Retrying .*\n", re.MULTILINE)


def with_advice(said: str) -> str:
    """The text of a failure, with what mends it where that is known, and without pip's retries."""
    shown = RETRIES.sub("", said)
    if "PIP_NO_INDEX" in os.environ and "no matching distribution" in said.lower():
        return f"{shown}\nPIP_NO_INDEX keeps pip from the index. Unset it, or install uv."
    for sign, mend in MENDS.items():
        if re.search(sign, said, re.IGNORECASE):
            return f"{shown}\n{mend}"
    return shown
