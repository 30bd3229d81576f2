"""The finding of `python3 -m app doctor` about LiteLLM: whether its models have their keys."""

from engine.models.litellm.models import LitellmModels
from engine.settings.finding import Finding
from engine.settings.settings import Settings, UnusableSettings

NAME = "LiteLLM"


def check() -> Finding:
    return check_settings(Settings())


def check_settings(settings: Settings) -> Finding:
    if not settings.other_models:
        return Finding("ok", "no setting names a model of its providers")
    try:
        litellm = LitellmModels(settings)
    except UnusableSettings as error:
        return Finding("fail", str(error))
    for name in settings.other_models:
        if missing := litellm.missing_keys(name):
            return Finding("warn", f"{name} needs {', '.join(missing)}. Put it into .env")
    return Finding("ok", ", ".join(settings.other_models))
