// A small editor for tests: talks to a language server over stdio as an editor would.
//
//   node client.mjs SERVER FILE... [+LINE:CHARACTER]
//
// Opens each file, waits for what the server finds in it, asks for completions at the place (both from 0) of
// the last file, and prints {"diagnostics": {FILE: [{line, message}]}, "completions": [label]} as JSON.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const words = process.argv.slice(2);
const server = spawn(process.execPath, [words.shift(), "--stdio"], { stdio: ["pipe", "pipe", "inherit"] });
const place = words.at(-1).startsWith("+") ? words.pop().slice(1).split(":").map(Number) : null;
const files = words.map((file) => ({ file, uri: pathToFileURL(resolve(file)).href }));
const limit = setTimeout(() => end(2), 60_000);

const settings = { yaml: { validate: true, completion: true, schemaStore: { enable: false } } };
const answers = {
  "workspace/configuration": ({ items }) => items.map(({ section }) => settings[section] ?? null),
  "workspace/workspaceFolders": () => null,
};
const waiting = new Map();
const found = new Map();
let number = 0;
let buffer = Buffer.alloc(0);

function end(code) {
  clearTimeout(limit);
  server.kill();
  process.exit(code);
}

function send(message) {
  const body = JSON.stringify({ jsonrpc: "2.0", ...message });
  server.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

function ask(method, params) {
  const id = ++number;
  send({ id, method, params });
  return new Promise((done) => waiting.set(id, done));
}

function diagnosticsOf(uri) {
  return new Promise((done) => found.set(uri, done));
}

function receive(message) {
  if (message.method && message.id !== undefined) {
    send({ id: message.id, result: answers[message.method]?.(message.params) ?? null });
  } else if (message.method === "textDocument/publishDiagnostics") {
    found.get(message.params.uri)?.(message.params.diagnostics);
  } else if (message.id !== undefined) {
    waiting.get(message.id)?.(message.result);
  }
}

server.stdout.on("data", (chunk) => {
  buffer = Buffer.concat([buffer, chunk]);
  for (;;) {
    const head = buffer.indexOf("\r\n\r\n");
    if (head < 0) return;
    const length = Number(/Content-Length: (\d+)/i.exec(buffer.subarray(0, head).toString())[1]);
    if (buffer.length < head + 4 + length) return;
    const body = buffer.subarray(head + 4, head + 4 + length);
    buffer = buffer.subarray(head + 4 + length);
    receive(JSON.parse(body.toString()));
  }
});
server.on("exit", () => end(2));

await ask("initialize", {
  processId: process.pid,
  rootUri: pathToFileURL(process.cwd()).href,
  capabilities: {
    workspace: { configuration: true },
    textDocument: { completion: { completionItem: {} }, publishDiagnostics: {} },
  },
});
send({ method: "initialized", params: {} });
send({ method: "workspace/didChangeConfiguration", params: { settings } });

const diagnostics = {};
for (const { file, uri } of files) {
  const due = diagnosticsOf(uri);
  const text = readFileSync(file, "utf8");
  send({ method: "textDocument/didOpen", params: { textDocument: { uri, languageId: "yaml", version: 1, text } } });
  diagnostics[file] = (await due).map(({ range, message }) => ({ line: range.start.line, message }));
}
let completions = [];
if (place) {
  const [line, character] = place;
  const answer = await ask("textDocument/completion", {
    textDocument: { uri: files.at(-1).uri },
    position: { line, character },
  });
  completions = (answer.items ?? answer).map(({ label }) => label);
}
console.log(JSON.stringify({ diagnostics, completions }));
end(0);
