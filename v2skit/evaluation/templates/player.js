"use strict";

/* Plays one of several equally long sounds; all run at once, so that switching keeps the position to the sample. */
class Player {
  static context = null;
  static playing = null;

  constructor(sounds, onchange) {
    this.sounds = sounds; // function that returns the sounds: FLAC in base64
    this.onchange = onchange;
    this.chosen = 0;
    this.at = 0; // seconds, while stopped
    this.loop = false;
  }

  get position() {
    if (!this.nodes) return this.at;
    const passed = Player.context.currentTime - this.started;
    return this.loop ? passed % this.seconds : Math.min(this.seconds, passed);
  }

  async load() {
    Player.context ??= new AudioContext();
    const decode = (text) => Player.context.decodeAudioData(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
    this.loading ??= Promise.all(this.sounds().map(decode));
    this.buffers = await this.loading;
    this.seconds = Math.max(...this.buffers.map((buffer) => buffer.duration));
  }

  async play(at = this.position) {
    const request = (this.request = {});
    await this.load();
    await Player.context.resume();
    if (request !== this.request) return; // another call came first
    if (Player.playing !== this) Player.playing?.stop();
    this.silence();
    Player.playing = this;
    this.at = at >= this.seconds - 0.01 ? 0 : at;
    this.started = Player.context.currentTime - this.at;
    this.nodes = this.buffers.map((buffer, number) => {
      const source = new AudioBufferSourceNode(Player.context, { buffer, loop: this.loop });
      const gain = new GainNode(Player.context, { gain: number === this.chosen ? 1 : 0 });
      source.connect(gain).connect(Player.context.destination);
      source.start(0, this.at);
      return { source, gain };
    });
    const longest = this.buffers.findIndex((buffer) => buffer.duration === this.seconds);
    this.nodes[longest].source.onended = () => this.finish();
    this.onchange();
  }

  choose(number) {
    this.chosen = number;
    this.nodes?.forEach(({ gain }, other) => {
      gain.gain.setTargetAtTime(other === number ? 1 : 0, Player.context.currentTime, 0.005); // without a click
    });
    this.onchange();
  }

  seek(at) {
    if (this.nodes) this.play(at);
    else {
      this.at = at;
      this.onchange();
    }
  }

  setLoop(loop) {
    const at = this.position;
    this.loop = loop;
    if (this.nodes) this.play(at);
  }

  stop() {
    this.request = null;
    this.at = this.position;
    this.silence();
    this.onchange();
  }

  finish() {
    this.silence();
    this.at = 0;
    this.onchange();
  }

  silence() {
    for (const { source } of this.nodes ?? []) {
      source.onended = null;
      source.stop();
    }
    this.nodes = null;
    if (Player.playing === this) Player.playing = null;
  }

  toggle() {
    if (this.nodes) this.stop();
    else this.play();
  }
}
