"""Providers whose models are reached in another way than OpenAI's API."""

PROVIDERS: dict[str, str] = {
    # By the first part of a model's name, as in `provider/model`: a module with `connect(settings)`,
    # which returns an `engine.models.source.Provider`. It is imported when such a model is named.
    # {% if cookiecutter.__models == "litellm" %}
    "litellm": "engine.models.litellm.models",
    # {% endif %}
}


def provider_of(model: str) -> str | None:
    """The provider that the model's name begins with; None for OpenAI's and its like."""
    name, slash, _ = model.partition("/")
    return name if slash and name in PROVIDERS else None


def without_provider(model: str) -> str:
    """The name as its provider knows it."""
    provider = provider_of(model)
    return model.removeprefix(f"{provider}/") if provider else model
