// Connects to the face over WebRTC, sends the microphone or a text, and shows the delay.

const KEY = "diff2lip-live-session";
const LOOK_MS = 1000;
const LOST_MS = 2500;
const RETRY_MS = [300, 1000, 2000, 4000, 8000];
const MICROPHONE = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const GONE = [404, 410];

const at = (id) => document.getElementById(id);
const face = at("face");

let key = sessionStorage.getItem(KEY);
let peer = null; // the connection to the server
let sender = null; // sends the microphone
let microphone = null; // its track
let state = "off"; // off, connecting, on, lost
let lostSince = null;
let before = { delay: 0, count: 0 }; // of the browser's own delay

class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, body) {
  const options = { signal: AbortSignal.timeout(15000) };
  if (body !== undefined) {
    options.method = "POST";
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  const value = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, value.error || "The server cannot answer.");
  return value;
}

function tell(text, isError = false) {
  at("status").textContent = text;
  at("status").classList.toggle("error", isError);
}

function enter(next) {
  state = next;
  const isOn = next === "on";
  for (const id of ["microphone", "stop", "text", "say"]) at(id).disabled = !isOn;
  at("start").textContent = next === "off" ? "Start" : "End";
  face.classList.toggle("lost", next === "lost");
  document.body.dataset.state = next;
}

// The connection.

async function connect() {
  dropPeer();
  const mine = new RTCPeerConnection();
  peer = mine;
  const audio = mine.addTransceiver("audio", { direction: "sendrecv" });
  mine.addTransceiver("video", { direction: "recvonly" });
  sender = audio.sender;
  if (microphone) await sender.replaceTrack(microphone);
  const stream = new MediaStream();
  mine.ontrack = (event) => stream.addTrack(event.track);
  mine.onconnectionstatechange = () => mine === peer && connectionChanged(mine.connectionState);
  await mine.setLocalDescription();
  const offer = mine.localDescription.sdp;
  const answer = await ask(key ? `sessions/${key}/connection` : "sessions", { offer });
  if (answer.key) {
    key = answer.key;
    sessionStorage.setItem(KEY, key);
  }
  await mine.setRemoteDescription({ type: "answer", sdp: answer.answer });
  face.srcObject = stream;
  await play();
}

function connectionChanged(now) {
  if (now === "connected") {
    lostSince = null;
    enter("on");
    tell("Speak, or type a sentence.");
  } else if (now === "disconnected") {
    lostSince ??= performance.now();
  } else if (now === "failed" || now === "closed") {
    reconnect();
  }
}

async function play() {
  face.muted = !at("sound").checked;
  try {
    await face.play();
  } catch (error) {
    if (error.name !== "NotAllowedError") return;
    face.muted = true; // after a reload, browsers want a click before they play sound
    at("sound").checked = false;
    await face.play().catch(() => {});
  }
}

async function reconnect() {
  if (state === "off" || state === "lost") return;
  enter("lost");
  for (let tries = 0; state === "lost"; tries++) {
    tell("The connection is lost. Trying again …", true);
    await new Promise((done) => setTimeout(done, RETRY_MS[Math.min(tries, RETRY_MS.length - 1)]));
    if (state !== "lost") return;
    try {
      await connect();
      await connected(peer);
      return;
    } catch (error) {
      if (!(error instanceof Refused)) continue;
      if (error.status === 404) forget(); // the server was started anew
      else if (error.status < 500 || error.status === 503) return leave(error.message);
    }
  }
}

function connected(mine) {
  return new Promise((done, fail) => {
    const end = performance.now() + 8000;
    const look = () => {
      if (mine.connectionState === "connected") done();
      else if (mine !== peer || mine.connectionState === "failed" || performance.now() > end) fail(new Error());
      else setTimeout(look, 100);
    };
    look();
  });
}

async function start() {
  enter("connecting");
  tell("Connecting …");
  try {
    await connect();
    await connected(peer);
  } catch (error) {
    if (error instanceof Refused && key && GONE.includes(error.status)) {
      forget();
      return start();
    }
    leave(error instanceof Refused ? error.message : "The server does not answer.");
  }
}

function forget() {
  key = null;
  sessionStorage.removeItem(KEY);
}

function dropPeer() {
  const old = peer;
  peer = null;
  old?.close();
  before = { delay: 0, count: 0 };
}

// Ends the session on this side; says why if it was not the person.
function leave(reason) {
  forget();
  dropPeer();
  switchMicrophoneOff();
  face.srcObject = null;
  lostSince = null;
  enter("off");
  tell(reason || "Press Start.", Boolean(reason));
}

async function end() {
  const old = key;
  leave();
  if (old) await ask(`sessions/${old}/end`, {}).catch(() => {});
}

// What the person does.

async function switchMicrophoneOn() {
  if (!navigator.mediaDevices) {
    tell("Browsers give the microphone to pages of this machine and to pages with HTTPS only.", true);
    return;
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: MICROPHONE });
    [microphone] = stream.getAudioTracks();
  } catch (error) {
    tell(error.name === "NotAllowedError" ? "The microphone was not allowed." : "There is no microphone.", true);
    return;
  }
  microphone.onended = switchMicrophoneOff;
  await sender?.replaceTrack(microphone);
  at("microphone").setAttribute("aria-pressed", "true");
  at("sound").checked = false;
  face.muted = true;
  at("sound-hint").hidden = false;
  tell("The microphone is on: speak.");
}

function switchMicrophoneOff() {
  if (!microphone) return;
  microphone.stop();
  microphone = null;
  sender?.replaceTrack(null).catch(() => {});
  at("microphone").setAttribute("aria-pressed", "false");
  at("sound-hint").hidden = true;
  at("sound").checked = true;
  face.muted = false;
  if (state === "on") tell("The microphone is off.");
}

async function say(event) {
  event.preventDefault();
  const text = at("text").value;
  if (!text.trim() || state !== "on") return;
  at("say").disabled = true;
  try {
    await ask(`sessions/${key}/text`, { text, voice: at("voice").value });
    at("text").value = "";
    tell("The face speaks.");
  } catch (error) {
    if (error instanceof Refused && GONE.includes(error.status)) return leave(error.message);
    tell(error instanceof Refused ? error.message : "The server does not answer.", true);
  } finally {
    at("say").disabled = state !== "on";
    at("text").focus();
  }
}

async function beQuiet() {
  if (state !== "on") return;
  switchMicrophoneOff();
  await ask(`sessions/${key}/interrupt`, {}).catch(() => {});
  tell("Quiet.");
}

// The meter.

async function look() {
  try {
    if (state === "on") {
      if (lostSince !== null && performance.now() - lostSince > LOST_MS) reconnect();
      else showDelay(await ask(`sessions/${key}`), await networkDelays());
    }
  } catch (error) {
    if (error instanceof Refused && GONE.includes(error.status) && state === "on") {
      if (error.status === 410) leave(error.message);
      else reconnect();
    }
  }
  setTimeout(look, LOOK_MS);
}

async function networkDelays() {
  let network_s = null;
  let browser_s = null;
  if (!peer) return { network_s, browser_s };
  for (const one of (await peer.getStats()).values()) {
    if (one.type === "candidate-pair" && one.nominated && one.currentRoundTripTime !== undefined) {
      network_s = one.currentRoundTripTime / 2;
    }
    if (one.type === "inbound-rtp" && one.kind === "video" && one.jitterBufferEmittedCount) {
      const now = { delay: one.jitterBufferDelay, count: one.jitterBufferEmittedCount };
      if (now.count > before.count) browser_s = (now.delay - before.delay) / (now.count - before.count);
      before = now;
    }
  }
  return { network_s, browser_s };
}

function showDelay(report, { network_s, browser_s }) {
  const ms = (seconds) => (seconds === null ? "–" : `${Math.round(seconds * 1000)} ms`);
  at("delay-face").textContent = ms(report.delay_s);
  at("delay-network").textContent = ms(network_s);
  at("delay-browser").textContent = ms(browser_s);
  at("late").textContent = `${report.num_late} of ${report.num_frames}`;
  const isKnown = report.delay_s !== null;
  const total_s = isKnown ? report.delay_s + (network_s ?? 0) * 2 + (browser_s ?? 0) : 0;
  at("delay").value = Math.min(1000, total_s * 1000);
  at("delay-text").textContent = isKnown ? `${ms(total_s)} from your speech to the face` : "Nobody speaks.";
}

// The page.

at("start").onclick = () => (state === "off" ? start() : end());
at("microphone").onclick = () => (microphone ? switchMicrophoneOff() : switchMicrophoneOn());
at("stop").onclick = beQuiet;
at("typing").onsubmit = say;
at("sound").onchange = () => {
  face.muted = !at("sound").checked;
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") beQuiet();
});

async function fill() {
  try {
    const settings = await ask("settings");
    at("voice").replaceChildren(...settings.voices.map((name) => new Option(name)));
    at("text").maxLength = settings.max_text;
    face.style.aspectRatio = `${settings.width} / ${settings.height}`;
  } catch {
    tell("The server does not answer. Reload the page.", true);
    return;
  }
  if (key) start(); // the page was reloaded: the session goes on
}

enter("off");
fill();
look();
