"""Answers of Anthropic's and Gemini's APIs through LiteLLM, and the many ways in which they end."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from engine.settings.settings import EnvSettings, Settings
from engine.tests import application
from engine.tests.agent.echo import ECHO
from engine.tests.agent.litellm.providers import (
    ANTHROPIC_STATUS,
    call_part,
    claude,
    claude_error,
    gemini,
    gemini_blocks,
    gemini_error,
    redacted_block,
    refuse_claude,
    refuse_gemini,
    text_block,
    text_part,
    thinking_block,
    thought_part,
    tool_block,
)
from engine.tests.agent.test_faults import AWAY, BROKE_OFF, BUSY, SLOW, told
from engine.tests.application import create_app
from engine.tests.fixtures import serving, visiting
from engine.tests.model_server import (
    CANARY,
    Behaviour,
    Event,
    ModelServer,
    answer,
    chat_call,
    complete,
    end_early,
    model_server,
    refuse_saying,
    silence,
    unless,
)
from engine.tests.talk import German, Turn, Visitor, events_in, message

pytestmark = [
    # LiteLLM's own, where a server of OpenAI's kind counts tokens.
    pytest.mark.filterwarnings("ignore:Accessing the 'model_:DeprecationWarning"),
    # LiteLLM's own too, when Gemini's part of it is imported.
    pytest.mark.filterwarnings("ignore:Items? .* on TypedDict class:UserWarning"),
]

CLAUDE = "litellm/anthropic/claude-test"
# It thinks unless it is told not to, and takes no `tool_choice` but "auto".
THINKER = "litellm/anthropic/claude-sonnet-5-5"
GEMINI = "litellm/gemini/gemini-test"
COMPATIBLE = "litellm/openai/gpt-test"
OFFERED = (CLAUDE, THINKER, GEMINI, COMPATIBLE)
WELL = {
    CLAUDE: claude(text_block("All is well.")),
    THINKER: claude(text_block("All is well.")),
    GEMINI: gemini(text_part("All is well.")),
    COMPATIBLE: answer("All is well."),
}
PATIENCE = 2.0

Talk = tuple[Visitor, ModelServer]


def whole(turn: Turn) -> str:
    """An answer that came to its end."""
    assert turn.error is None
    return turn.answer


@pytest.fixture(scope="module")
async def talk(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Talk]:
    """All these models at one server, which is asked once."""
    env = tmp_path_factory.mktemp("litellm") / ".env"
    async with AsyncExitStack() as stack:
        server, url = await stack.enter_async_context(model_server())
        base = url.removesuffix("/v1")
        addresses = {"ANTHROPIC": base, "GEMINI": base, "OPENAI": url}
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name, address in addresses.items():
            patch.setenv(f"{name}_API_KEY", CANARY)
            patch.setenv(f"{name}_API_BASE", address)
        patch.setitem(EnvSettings.model_config, "env_file", env)
        patch.setattr(application, "TOOLS", (ECHO,))
        changes = {
            "openai_api_key": None,
            "models": OFFERED,
            "model_retries": 0,
        }
        changed = settings.model_copy(update=changes)
        app = await stack.enter_async_context(serving(create_app(changed)))
        visitor = await stack.enter_async_context(visiting(app, changed))
        for model in OFFERED:  # the first request of all takes LiteLLM seconds
            server.does(WELL[model])
            assert whole(await visitor.say("hello", model=model)) == "All is well."
        yield visitor, server


@pytest.fixture(scope="module")
async def impatient(settings: Settings, talk: Talk) -> AsyncIterator[Talk]:
    """The same, where the models have `PATIENCE` seconds to say something."""
    _, server = talk
    changed = settings.model_copy(
        update={"models": OFFERED, "model_retries": 0, "model_timeout_seconds": PATIENCE}
    )
    async with serving(create_app(changed)) as app, visiting(app, changed) as visitor:
        yield visitor, server


@pytest.fixture(autouse=True)
def _nothing_left_over(talk: Talk) -> None:
    talk[1].forget()


@pytest.mark.parametrize("kind", ANTHROPIC_STATUS)
async def test_an_error_in_claudes_stream_means_what_it_means_as_a_status(
    talk: Talk, kind: str
) -> None:
    visitor, server = talk
    server.does(refuse_claude(kind), claude(then=claude_error(kind)))
    server.does(claude(text_block("Half"), then=claude_error(kind)))

    as_status = told(await visitor.say("hello", model=CLAUDE))
    assert told(await visitor.say("hello", model=CLAUDE)) == as_status
    turn = await visitor.say("hello", model=CLAUDE)
    assert told(turn) == as_status
    assert turn.answer == "Half"


GEMINI_ERRORS = [
    (400, "INVALID_ARGUMENT"),
    (403, "PERMISSION_DENIED"),
    (429, "RESOURCE_EXHAUSTED"),
    (500, "INTERNAL"),
    (503, "UNAVAILABLE"),
]


@pytest.mark.parametrize(("code", "status"), GEMINI_ERRORS)
async def test_an_error_in_geminis_stream_means_what_it_means_as_a_status(
    talk: Talk, code: int, status: str
) -> None:
    visitor, server = talk
    server.does(refuse_gemini(code, status), gemini(then=gemini_error(code, status)))
    server.does(gemini(text_part("Half"), then=gemini_error(code, status)))

    as_status = told(await visitor.say("hello", model=GEMINI))
    assert told(await visitor.say("hello", model=GEMINI)) == as_status
    turn = await visitor.say("hello", model=GEMINI)
    assert told(turn) == as_status
    assert turn.answer == "Half"


@pytest.mark.parametrize(
    ("model", "behaviour", "words"),
    [
        (CLAUDE, claude(then=claude_error("rate_limit_error")), BUSY),
        (CLAUDE, claude(then=claude_error("overloaded_error")), AWAY),
        (GEMINI, refuse_gemini(429, "RESOURCE_EXHAUSTED"), BUSY),
        (GEMINI, gemini(then=gemini_error(503, "UNAVAILABLE")), AWAY),
    ],
    ids=["busy claude", "overloaded claude", "busy gemini", "gemini away"],
)
async def test_what_passes_can_be_tried_again(
    talk: Talk, model: str, behaviour: Behaviour, words: str
) -> None:
    visitor, server = talk
    server.does(behaviour)
    assert told(await visitor.say("hello", model=model)) == (words, True)


@pytest.mark.parametrize(
    "behaviour",
    [refuse_claude("overloaded_error"), claude(then=claude_error("overloaded_error"))],
    ids=["as a status", "in the stream"],
)
async def test_an_overload_before_the_answer_is_not_seen(
    settings: Settings, talk: Talk, behaviour: Behaviour
) -> None:
    _, server = talk
    changed = settings.model_copy(update={"model": CLAUDE, "model_retries": 1})
    server.does(behaviour, claude(text_block("Here I am.")))
    async with serving(create_app(changed)) as app, visiting(app, changed) as visitor:
        assert whole(await visitor.say("hello")) == "Here I am."


@pytest.mark.parametrize(
    "behaviour",
    [
        gemini(text_part("Half"), finish="MALFORMED_FUNCTION_CALL"),
        gemini(text_part("Half"), finish="UNEXPECTED_TOOL_CALL"),
        gemini(text_part("Half"), finish=None),
        gemini(text_part("Half"), then=end_early),
    ],
    ids=["malformed call", "unexpected call", "without a reason", "ends early"],
)
async def test_half_an_answer_of_gemini_is_not_taken_for_a_whole_one(
    talk: Talk, behaviour: Behaviour
) -> None:
    visitor, server = talk
    server.does(behaviour)
    turn = await visitor.say("hello", model=GEMINI)
    assert told(turn) == (BROKE_OFF, True)
    assert turn.answer == "Half"


async def test_nor_is_half_an_answer_of_claude(talk: Talk) -> None:
    visitor, server = talk
    server.does(claude(text_block("Half"), then=end_early))
    turn = await visitor.say("hello", model=CLAUDE)
    assert told(turn)[1]
    assert turn.answer == "Half"


async def test_pings_are_signs_of_life(impatient: Talk) -> None:
    """Before the text, and within it."""
    visitor, server = impatient
    server.does(claude(text_block("One"), text_block(" two"), pings=6))
    assert whole(await visitor.say("hello", model=CLAUDE)) == "One two"


async def test_so_are_comments(impatient: Talk) -> None:
    visitor, server = impatient
    server.does(answer("Here", comments=6))
    assert whole(await visitor.say("hello", model=COMPATIBLE)) == "Here"


@pytest.mark.parametrize(
    ("model", "behaviour"),
    [
        (CLAUDE, claude(text_block("Half"), pings=2, then=silence)),
        (GEMINI, gemini(text_part("Half"), then=silence)),
        (COMPATIBLE, answer("Half", then=silence)),
    ],
)
async def test_who_falls_silent_is_cut(impatient: Talk, model: str, behaviour: Behaviour) -> None:
    visitor, server = impatient
    server.does(behaviour)
    turn = await visitor.say("hello", model=model)
    assert told(turn) == (SLOW, True)
    assert turn.answer == "Half"


SHOUT = '{"text": "hi"}'


@pytest.mark.parametrize("thought", ["Which tool?", ""])
async def test_claude_gets_its_thinking_back_with_the_results_of_its_tools(
    talk: Talk, thought: str
) -> None:
    visitor, server = talk
    asked = len(server.exchanges)
    thinking = [thinking_block(thought, "c2lnbmVk"), redacted_block()]
    calls = [tool_block("shout", SHOUT, "toolu_1"), tool_block("shout", SHOUT, "toolu_2")]
    server.does(claude(*thinking, text_block("I shall shout."), *calls, stop="tool_use"))
    server.does(claude(thinking_block("Done."), text_block("It was loud.")))
    server.does(claude(text_block("You are welcome.")))

    turn = await visitor.say("shout hi", model=THINKER)
    assert whole(turn) == "I shall shout.It was loud."
    later = await visitor.say("thanks", turn.thread_id, model=THINKER)
    assert whole(later) == "You are welcome."
    first, second, third = (exchange.body for exchange in server.exchanges[asked:])
    assert "thinking" not in first  # it thinks by itself, and as hard as it likes
    said = next(m["content"] for m in second["messages"] if m["role"] == "assistant")
    assert said[: len(thinking)] == thinking
    # Anthropic does not ask for the thinking of an earlier turn.
    assert "thinking" not in str(third["messages"])
    assert [m["role"] for m in third["messages"]].count("assistant") >= 2


async def test_gemini_gets_the_signature_of_its_thought_back(talk: Talk) -> None:
    visitor, server = talk
    asked = len(server.exchanges)
    server.does(gemini(thought_part("Which tool?"), call_part("shout", "c2lnbmVk", text="hi")))
    server.does(gemini(text_part("It was loud.")), gemini(text_part("You are welcome.")))

    turn = await visitor.say("shout hi", model=GEMINI)
    assert whole(turn) == "It was loud."
    later = await visitor.say("thanks", turn.thread_id, model=GEMINI)
    assert whole(later) == "You are welcome."

    _, second, third = (exchange.body for exchange in server.exchanges[asked:])
    [signed] = [p for m in second["contents"] for p in m["parts"] if "function_call" in p]
    assert signed["thoughtSignature"] == "c2lnbmVk"
    assert "shout" in str(third["contents"])


async def test_a_model_that_cannot_be_made_to_call_a_tool_is_only_offered_it(talk: Talk) -> None:
    visitor, server = talk
    asked = len(server.exchanges)
    server.does(claude(text_block("No.")), claude(text_block("No.")))
    for model in (THINKER, CLAUDE):
        assert whole(await visitor.say("hello", model=model, tool="echo")) == "No."
    thinker, other = (exchange.body for exchange in server.exchanges[asked:])
    assert thinker.get("tool_choice", {"type": "auto"})["type"] == "auto"
    assert other["tool_choice"]["type"] == "any"
    assert [tool["name"] for tool in thinker["tools"]] == ["shout"]


async def test_stream_options_are_not_sent_where_the_settings_say_so(
    settings: Settings, talk: Talk
) -> None:
    _, server = talk
    for counts in (True, False):
        changed = settings.model_copy(update={"model": COMPATIBLE, "stream_options": counts})
        server.does(answer("Here I am."))
        async with serving(create_app(changed)) as app, visiting(app, changed) as visitor:
            assert whole(await visitor.say("hello")) == "Here I am."
        assert ("stream_options" in server.exchanges[-1].body) is counts


def lacks_thoughts(body: Event) -> bool:
    return any(m.get("tool_calls") and not m.get("reasoning_content") for m in body["messages"])


async def test_what_a_compatible_server_does_not_take_is_left_out(talk: Talk) -> None:
    visitor, server = talk
    asked = len(server.exchanges)
    no_options = refuse_saying(422, "stream_options: extra inputs are not permitted")
    call = complete(chat_call("shout", SHOUT), finish_reason="tool_calls")
    no_thoughts = refuse_saying(400, "The `reasoning_content` must be passed back to the API.")
    server.does(no_options, call, unless(lacks_thoughts, no_thoughts, answer("wrong")))
    server.does(unless(lacks_thoughts, no_thoughts, answer("It was loud.")))

    assert whole(await visitor.say("shout hi", model=COMPATIBLE)) == "It was loud."
    sent = ["stream_options" in exchange.body for exchange in server.exchanges[asked:]]
    assert sent == [True, False, False, False]


NO_ANSWER = ("The model gave no answer. Please try again.", True)


@pytest.mark.parametrize(
    ("model", "behaviour"),
    [
        (CLAUDE, claude()),
        (CLAUDE, claude(text_block(""))),
        (CLAUDE, claude(text_block(" \n"))),
        (CLAUDE, claude(stop="max_tokens")),
        (THINKER, claude(thinking_block("So."))),
        (THINKER, claude(thinking_block("Ever so long."), stop="max_tokens")),
        (GEMINI, gemini()),
        (GEMINI, gemini(text_part(""))),
        (GEMINI, gemini(finish="MAX_TOKENS")),
        (GEMINI, gemini(thought_part("Ever so long."), finish="MAX_TOKENS")),
    ],
)
async def test_an_answer_that_says_nothing_can_be_tried_again(
    talk: Talk, model: str, behaviour: Behaviour
) -> None:
    visitor, server = talk
    server.does(behaviour)
    turn = await visitor.say("hello", model=model)
    assert told(turn) == NO_ANSWER
    assert turn.answer == ""


@pytest.mark.parametrize(
    "finish", ["MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL"]
)
async def test_a_call_that_gemini_could_not_write_can_be_tried_again(
    talk: Talk, finish: str
) -> None:
    visitor, server = talk
    server.does(gemini(finish=finish))
    assert told(await visitor.say("hello", model=GEMINI)) == (BROKE_OFF, True)


async def test_a_refusal_is_an_answer(talk: Talk) -> None:
    visitor, server = talk
    why = "This request was declined because it could enable harm."
    server.does(claude(stop="refusal", explanation=why), claude(text_block("Gladly.")))

    turn = await visitor.say("do harm", model=CLAUDE)
    assert whole(turn) == why
    assert turn.done("task") == []
    stored = [i for i in await visitor.items(turn.thread_id) if i["type"] == "assistant_message"]
    assert [part["text"] for part in stored[0]["content"]] == [why]
    assert whole(await visitor.say("do good", turn.thread_id, model=CLAUDE)) == "Gladly."
    assert why in str(server.exchanges[-1].body["messages"])


WITHHELD = {
    "en": "The model's content filter withheld this answer. Please put it differently.",
    "de": "Der Inhaltsfilter hat diese Antwort zurückgehalten.",
}


@pytest.mark.parametrize(
    ("model", "behaviour"),
    [
        (CLAUDE, claude(stop="refusal")),
        (THINKER, claude(thinking_block("Hm."), stop="refusal")),
        (GEMINI, gemini(finish="SAFETY")),
        (GEMINI, gemini(finish="RECITATION")),
        (GEMINI, gemini(finish="PROHIBITED_CONTENT")),
        (GEMINI, gemini(thought_part("Hm."), finish="SAFETY")),
        (GEMINI, gemini_blocks("PROHIBITED_CONTENT")),
    ],
)
async def test_what_a_filter_takes_back_whole_has_a_sentence_in_its_place(
    talk: Talk, german: German, model: str, behaviour: Behaviour
) -> None:
    german({WITHHELD["en"]: WITHHELD["de"]})
    visitor, server = talk
    for language, sentence in WITHHELD.items():
        server.does(behaviour)
        response = await visitor.send(
            "threads.create",
            headers={"Accept-Language": language},
            input=message("hello", model=model),
        )
        turn = Turn(events_in(response.text))
        assert whole(turn) == sentence
        assert turn.done("task") == []
        stored = await visitor.items(turn.thread_id)
        assert stored[-1]["content"][0]["text"] == sentence


CUT = "The answer ends here: it reached the longest that the model may say."
FILTERED = "The answer ends here: the model's content filter stopped it."


@pytest.mark.parametrize(
    ("model", "behaviour", "remark"),
    [
        (CLAUDE, claude(text_block("Half"), stop="max_tokens"), CUT),
        (CLAUDE, claude(text_block("Half"), stop="model_context_window_exceeded"), CUT),
        (CLAUDE, claude(text_block("Half"), stop="refusal"), FILTERED),
        (GEMINI, gemini(text_part("Half"), finish="MAX_TOKENS"), CUT),
        (GEMINI, gemini(text_part("Half"), finish="SAFETY"), FILTERED),
    ],
)
async def test_an_answer_that_is_cut_says_so_below_its_text(
    talk: Talk, model: str, behaviour: Behaviour, remark: str
) -> None:
    visitor, server = talk
    server.does(behaviour)
    turn = await visitor.say("hello", model=model)
    assert whole(turn) == "Half"
    assert [item["task"]["title"] for item in turn.done("task")] == [remark]
    stored = await visitor.items(turn.thread_id)
    assert [item["type"] for item in stored[-2:]] == ["assistant_message", "task"]


@pytest.mark.parametrize(
    ("model", "behaviour"),
    [
        (THINKER, claude(thinking_block("Let me see."), redacted_block(), text_block("Yes."))),
        (GEMINI, gemini(thought_part("Let me see."), text_part("Yes."))),
    ],
)
async def test_thoughts_are_tasks_and_no_part_of_the_answer(
    talk: Talk, model: str, behaviour: Behaviour
) -> None:
    visitor, server = talk
    server.does(behaviour)
    turn = await visitor.say("hello", model=model)
    assert whole(turn) == "Yes."
    [workflow] = turn.done("workflow")
    thoughts = [t for t in workflow["workflow"]["tasks"] if t["type"] == "thought"]
    assert [thought["content"] for thought in thoughts] == ["Let me see."]
