"""The script of the page, run by Node.js without a browser: what it says when the server fails."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from tests.conftest import ROOT

STUBS = """
const elements = {};
function element() {
  const listeners = {};
  return {
    listeners, files: [], value: "", hidden: true, classList: { add() {}, remove() {} },
    addEventListener(event, listener) { listeners[event] = listener; },
    add() {}, pause() {}, removeAttribute() {},
  };
}
globalThis.document = { getElementById: (id) => (elements[id] ??= element()) };
globalThis.Option = class {};
globalThis.MediaStream = class {};
const answer = ANSWER;
globalThis.fetch = async (path) => {
  if (path === "model") return new Response('{"voices": [], "max_mb": 200, "max_seconds": 60}');
  if (!answer) throw new TypeError("connection refused");
  return new Response(answer.body, { status: answer.status, headers: { "Content-Type": answer.type } });
};
setTimeout(async () => {
  elements.file.files = [new File(["video"], "clip.mp4")];
  elements.file.listeners.change();
  await elements.go.listeners.click();
  console.log(JSON.stringify([elements.error.textContent, elements.go.textContent]));
}, 50);
"""


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((500, "text/plain; charset=utf-8", "Internal Server Error"), "The server failed (status 500); the terminal"),
        ((502, "text/html", "<h1>Bad gateway</h1>"), "The server failed (status 502); the terminal"),
        ((507, "application/json", '{"error": "The disk is full."}'), "The disk is full."),
        ((200, "application/x-ndjson", '{"done": 1, "total": 2}\n{"error": "No face."}\n'), "No face."),
        ((200, "application/x-ndjson", '{"done": 1, "total": 2}\n'), "The server does not answer"),
        (None, "The server does not answer"),
    ],
)
def test_a_server_that_fails_is_not_taken_for_one_that_does_not_answer(answer, sentence):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is missing; install Node.js")
    given = json.dumps(answer and dict(zip(("status", "type", "body"), answer, strict=True)))
    script = STUBS.replace("ANSWER", given) + (ROOT / "v2skit/web/page/page.js").read_text(encoding="utf-8")
    ended = subprocess.run([node, "-"], input=script, capture_output=True, text=True, timeout=60, check=True)
    said, button = json.loads(ended.stdout)
    assert said.startswith(sentence) and button == "Synthesise"
