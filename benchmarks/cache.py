"""The share of a long conversation's input that a provider's cache can take.

A conversation of a hundred turns with a scripted server of OpenAI's API. The share is that of the
common beginning of successive requests: tools, instructions, history.
"""

import asyncio
import json

from benchmarks.results import Goal, Report, Result
from benchmarks.stage import create_database, python

TURNS = 100

_TALK = """
import asyncio, json, sys
from pydantic import SecretStr
from app.main import create_app
from engine.settings.settings import Settings
from engine.tests.cache_share import cached_share, prompt_of
from engine.tests.fixtures import serving_chat, visiting
from engine.tests.model_server import CANARY, answer, model_server
from app.auth import sign_in

QUESTION = "Question {n}: what was it like there, and would you go again? " * 6
ANSWER = "It was warm, and then it rained for a day or two. " * 30

async def talk(turns):
    async with model_server() as (model, model_url):
        settings = Settings(openai_api_key=SecretStr(CANARY), openai_base_url=model_url)
        model.does(*[answer(ANSWER)] * turns)
        async with (
            serving_chat(create_app(settings)) as url,
            visiting(url, settings, sign_in=sign_in) as visitor,
        ):
            thread = (await visitor.say(QUESTION.format(n=0))).thread_id
            for n in range(1, turns):
                body = {
                    "type": "threads.add_user_message",
                    "params": {"thread_id": thread, "input": {
                        "content": [{"type": "input_text", "text": QUESTION.format(n=n)}],
                        "attachments": [], "inference_options": {}}},
                    "metadata": {"page": {"page": f"number {n}"}},
                }
                response = await visitor.client.post("/chatkit", json=body)
                assert response.status_code == 200, response.text
        bodies = [exchange.body for exchange in model.exchanges]
    total = sum(len(prompt_of(body)) for body in bodies)
    return {"requests": len(bodies), "total": total, "share": cached_share(bodies)}

print(json.dumps(asyncio.run(talk(int(sys.argv[1])))))
"""


async def conversation(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    """It does not depend on the machine's speed: one round is enough."""
    database = await create_database(url, "cache", "bench_cache_now")
    settings = {"DATABASE_URL": database, "OPENAI_API_KEY": "set below"}
    said = await asyncio.to_thread(python, _TALK, str(TURNS), **settings)
    measured = json.loads(said.splitlines()[-1])
    assert measured["requests"] == TURNS
    name = f"input that a cache can take, {TURNS} turns"
    share = 100 * measured["share"]
    report(Result(name, "%", (share,), (100.0,), "all of it", Goal(0.8, "at least")))
