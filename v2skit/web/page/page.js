"use strict";

const $ = (id) => document.getElementById(id);
let about = { max_mb: Infinity, max_seconds: Infinity, voices: [] }; // until /model has answered
let video = null; // a File, or a Blob from the webcam
let working = null; // the AbortController of the request in progress
let recorder = null; // of the webcam, while it records

function fail(sentence) {
  $("error").textContent = sentence;
  $("error").hidden = !sentence;
}

function clearResult() {
  fail("");
  $("status").textContent = "";
  $("result").hidden = true;
  $("empty").hidden = false;
  $("sound").pause();
}

function show(source) {
  URL.revokeObjectURL($("preview").src);
  $("preview").srcObject = source instanceof MediaStream ? source : null;
  if (!$("preview").srcObject) $("preview").src = URL.createObjectURL(source);
  $("preview").hidden = false;
  $("hint").hidden = true;
}

function choose(chosen, name) {
  working?.abort();
  clearResult();
  const megabytes = chosen.size / 1e6;
  if (megabytes > about.max_mb) {
    fail(`${name} is too large: it has ${megabytes.toFixed(1)} MB, the limit is ${about.max_mb} MB.`);
    return;
  }
  video = { file: chosen, name };
  show(chosen);
  $("name").textContent = `${name}, ${megabytes.toFixed(1)} MB`;
  $("go").disabled = false;
}

async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    yield* parts;
  }
  if (rest) yield rest;
}

function progress({ done, total }) {
  const of = total ? ` of ${total.toFixed(1)}` : "";
  $("status").textContent = `Processing: ${done.toFixed(1)}${of} s`;
  if (total) $("bar").value = Math.min(1, done / total);
  else $("bar").removeAttribute("value");
}

function present(answer) {
  $("sound").src = $("download").href = blob(answer.sound, "audio/wav");
  $("spectrogram").src = `data:image/png;base64,${answer.spectrogram}`;
  $("track").src = `data:image/png;base64,${answer.track}`;
  $("found").textContent = answer.text;
  $("empty").hidden = true;
  $("result").hidden = false;
}

function blob(base64, type) {
  URL.revokeObjectURL($("sound").src);
  return URL.createObjectURL(new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], { type }));
}

async function synthesise() {
  clearResult();
  const form = new FormData();
  form.append("video", video.file, video.name);
  if ($("voice").value) form.append("voice", $("voice").value);
  if ($("recording").files.length) form.append("recording", $("recording").files[0]);
  working = new AbortController();
  $("go").textContent = "Stop";
  $("camera").disabled = true;
  $("bar").hidden = false;
  $("bar").removeAttribute("value");
  $("status").textContent = "Waiting for other videos";
  try {
    const response = await fetch("synthesise", { method: "POST", body: form, signal: working.signal });
    if (!response.ok && !response.headers.get("content-type")?.startsWith("application/json")) {
      fail(`The server failed (status ${response.status}); the terminal of v2skit serve shows the reason.`);
      return;
    }
    let answer = {};
    for await (const line of lines(response)) {
      answer = JSON.parse(line);
      if ("done" in answer) progress(answer);
    }
    if (answer.error) fail(answer.error);
    else if (answer.sound) present(answer);
    else throw new Error("the response is incomplete");
  } catch (error) {
    if (error.name !== "AbortError") fail("The server does not answer; check that v2skit serve is running.");
  } finally {
    working = null;
    $("go").textContent = "Synthesise";
    $("camera").disabled = false;
    $("bar").hidden = true;
    $("status").textContent = "";
  }
}

async function record() {
  if (!navigator.mediaDevices) {
    fail("Browsers allow the webcam only on pages at 127.0.0.1, localhost or https; open this page there.");
    return;
  }
  clearResult();
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
  } catch (error) {
    fail(`The webcam can't be used (${error.message}); allow it in the browser, or drop a video.`);
    return;
  }
  const pieces = [];
  const started = performance.now();
  recorder = new MediaRecorder(stream);
  recorder.ondataavailable = (event) => pieces.push(event.data);
  const clock = setInterval(() => {
    const seconds = (performance.now() - started) / 1000;
    $("name").textContent = `Recording: ${seconds.toFixed(0)} s`;
    if (seconds > about.max_seconds - 1) stopRecording();
  }, 200);
  recorder.onstop = () => {
    clearInterval(clock);
    stream.getTracks().forEach((track) => track.stop());
    $("drop").classList.remove("live");
    $("camera").textContent = "Use the webcam";
    const type = recorder.mimeType;
    recorder = null;
    choose(new Blob(pieces, { type }), type.includes("mp4") ? "webcam.mp4" : "webcam.webm");
  };
  recorder.start();
  $("go").disabled = true;
  $("drop").classList.add("live");
  $("camera").textContent = "Stop recording";
  show(stream);
  $("preview").play();
}

function stopRecording() {
  if (recorder.state === "recording") recorder.stop();
}

function follow() {
  // The picture is kept synchronous with the sound; some formats can be processed but not shown by the browser.
  const preview = $("preview");
  if (preview.hidden || preview.error || preview.srcObject) return;
  if (Math.abs(preview.currentTime - $("sound").currentTime) > 0.2) preview.currentTime = $("sound").currentTime;
  if ($("sound").paused) preview.pause();
  else preview.play();
}

$("file").addEventListener("change", () => {
  const [chosen] = $("file").files;
  if (chosen) choose(chosen, chosen.name);
  $("file").value = "";
});
$("drop").addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").classList.add("over");
});
$("drop").addEventListener("dragleave", () => $("drop").classList.remove("over"));
$("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  const [chosen] = event.dataTransfer.files;
  if (chosen && !recorder) choose(chosen, chosen.name);
});
$("preview").addEventListener("error", () => {
  if (!video) return;
  $("name").textContent += "; this browser can't show it";
  $("preview").hidden = true;
  $("hint").hidden = false;
});
$("camera").addEventListener("click", () => (recorder ? stopRecording() : record()));
$("go").addEventListener("click", () => (working ? working.abort() : synthesise()));
for (const event of ["play", "pause", "seeked"]) $("sound").addEventListener(event, follow);

fetch("model")
  .then((response) => response.json())
  .then((answer) => {
    about = answer;
    $("model").textContent = about.name;
    $("made_for").textContent = about.made_for;
    $("limits").textContent = `up to ${about.max_seconds} s and ${about.max_mb} MB`;
    $("voices").hidden = !about.voices.length && !about.default_voice;
    $("voice").add(new Option(about.default_voice ? `default: ${about.default_voice}` : "default", ""));
    for (const voice of about.voices) $("voice").add(new Option(voice, voice));
    $("recordings").hidden = !about.accepts_recording;
  })
  .catch(() => fail("The server does not answer; check that v2skit serve is running."));
