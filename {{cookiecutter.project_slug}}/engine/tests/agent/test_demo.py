"""The demo model reports its token usage, so that limits can be tried without an API key."""

from agents import Agent, Runner

from engine.demo.model import DemoModel


async def usage(words: str) -> tuple[int, int, int]:
    result = Runner.run_streamed(
        Agent(name="Demo", instructions="x" * 300, model=DemoModel(0)), words
    )
    async for _ in result.stream_events():
        pass
    used = result.context_wrapper.usage
    assert used.total_tokens == used.input_tokens + used.output_tokens
    return used.input_tokens, used.output_tokens, len(str(result.final_output).encode())


async def test_a_token_is_three_bytes() -> None:
    short_in, short_out, said = await usage("hi")
    long_in, _, _ = await usage("ü" * 3_000)

    assert 100 < short_in < 150  # 300 bytes of instructions, the message and its frame
    assert long_in - short_in in (1_999, 2_000)  # 6,000 bytes less the short message's
    assert short_out == -(-said // 3)


async def test_streamed_and_whole_responses_agree() -> None:
    agent = Agent(name="Demo", instructions="x" * 300, model=DemoModel(0))
    used = (await Runner.run(agent, "hi")).context_wrapper.usage

    assert (used.input_tokens, used.output_tokens) == (await usage("hi"))[:2]
