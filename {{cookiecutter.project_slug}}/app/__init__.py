"""The application."""

import engine as engine  # first: with it, the SDKs are imported more quickly
