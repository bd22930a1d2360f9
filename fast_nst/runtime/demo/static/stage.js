// What is on show: the stylized picture, and the original over the left part of it.

import { element } from "./dom.js";

const frame = element("frame");
const before = element("before");
const after = element("after");
const split = element("split");
const notice = element("notice");
const busy = element("busy");
let painted = null;
let strength = 1;

/** Show an original, and its stylized self or null; `stylized` is the stage's from now on. */
export function show(original, stylized) {
  const { width, height } = original;
  if (before.width !== width || before.height !== height) {
    for (const canvas of [before, after]) Object.assign(canvas, { width, height });
    frame.style.setProperty("--ratio", width / height);
  }
  before.getContext("2d").drawImage(original, 0, 0);
  painted?.close();
  painted = stylized;
  frame.classList.toggle("unpainted", !painted);
  repaint();
}

/** From 0, the original, to 1. Needs no server: a mix of two pictures is what a canvas does. */
export function setStrength(value) {
  strength = value;
  repaint();
}

function repaint() {
  const pen = after.getContext("2d");
  pen.globalAlpha = 1;
  pen.drawImage(before, 0, 0);
  if (!painted) return;
  pen.globalAlpha = strength;
  pen.drawImage(painted, 0, 0, after.width, after.height);
}

/** The stylized picture as it is on show, without the original beside it. */
export function snapshot() {
  return new Promise((resolve) => after.toBlob(resolve, "image/png"));
}

export const resultStream = () => after.captureStream();

export function setVisible(visible) {
  frame.hidden = !visible;
}

/** Text over the picture while it is worked on; none ends it. */
export function setBusy(text) {
  busy.hidden = !text;
  busy.querySelector("span").textContent = text ?? "";
  frame.setAttribute("aria-busy", String(Boolean(text)));
}

/** The rate of results, that of the source where the browser tells, how old a result is, its size; none hides them. */
export function setStats(stats) {
  element("stats").hidden = !stats;
  if (!stats) return;
  const source = stats.source ? ` of ${Math.round(stats.source)}` : "";
  element("stats").textContent = `${stats.fps.toFixed(1)}${source} fps · ${Math.round(stats.latency)} ms · ${stats.side} px`;
}

export function tell(text) {
  element("status").textContent = text ?? "";
}

/** A message that stays until it is closed or the next attempt; none closes it. */
export function complain(text) {
  notice.hidden = !text;
  const line = notice.querySelector("span");
  if (line.textContent !== (text ?? "")) line.textContent = text ?? ""; // or it is read out again
}

export function setSplit(percent) {
  split.value = percent;
  moveSplit();
}

function moveSplit() {
  frame.style.setProperty("--split", `${split.value}%`);
  frame.classList.toggle("all-after", split.value < 8);
  frame.classList.toggle("all-before", split.value > 92);
}

split.addEventListener("input", moveSplit);
notice.querySelector("button").addEventListener("click", () => complain());
moveSplit();
