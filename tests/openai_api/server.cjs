// A server with OpenAI's API that records its requests.
//
// aimock's own journal converts every request to Chat Completions, without item ids, reasoning items,
// hosted tools and the side that disconnected. So a recording proxy in front of it passes on the bytes.
//
//   GET /journal      [{ path, body, status, ended }] of the requests since the last DELETE;
//                     `ended` is null, "complete", "cut" (by the server) or "left" (by the client)
//   DELETE /journal   clear the journal and the counts of repeated requests
//
// CommonJS, because aimock's ES modules need Node 20.15 and distributions still ship 18.

const http = require("node:http");

const { LLMock } = require("@copilotkit/aimock");
const { fixtures } = require("./fixtures.json");

const mock = new LLMock({ port: 0, strict: true, logLevel: "silent" });
mock.addFixturesFromJSON(fixtures);

let upstream;
let journal = [];

const recorder = http.createServer(async (request, response) => {
  if (request.url === "/journal") {
    if (request.method === "DELETE") {
      journal = [];
      mock.resetMatchCounts();
    }
    response.end(JSON.stringify(journal));
    return;
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const entry = { path: request.url, body: JSON.parse(body), status: null, ended: null };
  journal.push(entry);
  pass(request, body, response, entry);
});

function pass(request, body, response, entry) {
  const { hostname, port } = upstream;
  const { method, url: path, headers } = request;
  const asked = http.request({ hostname, port, method, path, headers, agent: false }, (answer) => {
    entry.status = answer.statusCode;
    response.writeHead(answer.statusCode, answer.headers);
    answer.on("data", (chunk) => response.write(chunk));
    answer.on("end", () => {
      entry.ended ??= "complete";
      response.end();
    });
    answer.on("error", cut);
  });
  function cut() {
    entry.ended ??= "cut";
    response.destroy();
  }
  asked.on("error", cut);
  response.on("close", () => {
    entry.ended ??= "left";
    asked.destroy();
  });
  asked.end(body);
}

mock.start().then((url) => {
  upstream = new URL(url);
  recorder.listen(0, "127.0.0.1", () => {
    console.log(`http://127.0.0.1:${recorder.address().port}`);
  });
});

// Stops at the end of stdin, which also occurs when the parent process ends.
process.stdin.on("end", () => process.exit()).resume();
