// In the place of the server's api.js: what the page asks is answered in the browser, by worker.js.

/** A failure with a message for the person at the page. */
export class Problem extends Error {}

const MAX_BYTES = 100 * 2 ** 20;
const MOST_THREADS = 4; // phones have small cores beside the large ones, and all would wait for the small
const RELOADED = "fast_nst reloaded";

let told = null; // styles.json
let engine = null; // {worker, started, waiting}
const opened = new WeakMap(); // picture file -> {bitmap, number}
let count = 0;

export async function info() {
  await takeCover();
  const response = await fetch("styles.json").catch(() => null);
  if (!response?.ok) throw new Problem("This page's list of styles cannot be loaded. Load the page again.");
  told = await response.json();
  return {
    styles: told.styles,
    max_picture_bytes: MAX_BYTES,
    kinds: "JPEG, PNG, WebP, AVIF and what else this browser shows. It stays in this browser.",
    more: "the most this page takes; fast-nst stylize takes more",
    here: "Frames stay in this browser.",
    engine: start().started.then((name) => `Runs in this browser on ${name}; nothing leaves it.`),
  };
}

export const previewAddress = (style) => styleOf(style).preview;

export async function sample() {
  const blob = await (await fetch("sample.jpg")).blob();
  return new File([blob], "chelsea.jpg", { type: blob.type });
}

/** A picture file -> {bitmap, size, original}: upright, on white and within the limit. */
export async function open(file) {
  const whole = await createImageBitmap(file).catch(() => {
    throw new Problem("The picture cannot be read: it is damaged, or of a kind this browser does not show.");
  });
  const scale = Math.min(1, Math.sqrt(told.max_pixels / (whole.width * whole.height)));
  const [width, height] = [whole.width, whole.height].map((length) => Math.max(1, Math.floor(length * scale)));
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d");
  pen.fillStyle = "white";
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingQuality = "high";
  pen.drawImage(whole, 0, 0, width, height);
  const original = `${whole.width}x${whole.height}`;
  whole.close();
  const bitmap = canvas.transferToImageBitmap();
  opened.set(file, { bitmap, number: ++count });
  return { bitmap, size: `${width}x${height}`, original };
}

export const paint = (file, wish) => paintFile(file, wish);

/** The stylized picture: with `format` a blob to be saved, else an ImageBitmap. */
export function paintFile(file, { style, keepColor, strength, format }) {
  const { bitmap, number } = opened.get(file);
  return ask({ image: bitmap, number, ...mixture(style), keepColor, strength, format });
}

/** Frames of a canvas, one at a time. */
export function live() {
  return {
    async ready() {},
    async paint(frame, { style, keepColor }) {
      const image = await createImageBitmap(frame);
      return ask({ image, ...mixture(style), keepColor }, [image]);
    },
    close() {},
  };
}

const styleOf = (name) => told.styles.find((style) => style.name === name);

/** "waves" or "waves:0.6,udnie:0.4" -> {file, weights}: the ONNX file, and what its `style_weights` are. */
function mixture(text) {
  const parts = styleOf(text)
    ? [[text, 1]]
    : text.split(",").map((part) => {
        const colon = part.lastIndexOf(":");
        return [part.slice(0, colon), Number(part.slice(colon + 1))];
      });
  const { file, weights } = styleOf(parts[0][0]);
  const shares = weights.map((_, k) => parts.reduce((sum, [name, share]) => sum + share * styleOf(name).weights[k], 0));
  return { file: told.files[file], weights: shares };
}

/** The worker with the network; one that failed is not used again, its memory may be full. */
function start() {
  if (engine) return engine;
  const worker = new Worker("worker.js", { type: "module" });
  const waiting = new Map();
  const mine = (engine = { worker, waiting });
  const end = (message) => {
    worker.terminate();
    if (engine === mine) engine = null;
    for (const { reject } of waiting.values()) reject(new Problem(message));
    waiting.clear();
  };
  worker.onerror = () => end("The network could not be started in this browser.");
  worker.onmessage = ({ data: { id, result, error } }) => {
    if (error) return end(inWords(error));
    waiting.get(id)?.resolve(result);
    waiting.delete(id);
  };
  const threads = crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, MOST_THREADS) : 1;
  mine.started = send(mine, { ...mixture(told.styles[0].name), threads });
  return mine;
}

async function ask(message, transfer) {
  const mine = start();
  await mine.started;
  return send(mine, message, transfer);
}

function send({ worker, waiting }, message, transfer = []) {
  const id = ++count;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, ...message }, transfer);
  });
}

function inWords(error) {
  if (/bad_alloc|memory/i.test(error)) return "There is not enough memory for this here. Try a smaller picture.";
  if (/fetch|network/i.test(error)) return "The network could not be loaded. Is there a connection? Try again.";
  return `The network could not be run: ${error}`;
}

/**
 * Have the service worker between the page and its host: it keeps the files, and adds the headers without which
 * browsers allow a page no threads. It is there only for pages loaded after it: this one is loaded once more.
 */
async function takeCover() {
  if (!navigator.serviceWorker) return;
  if (navigator.serviceWorker.controller && crossOriginIsolated) return sessionStorage.removeItem(RELOADED);
  if (sessionStorage.getItem(RELOADED) || !(await isInstalled())) return;
  sessionStorage.setItem(RELOADED, "yes"); // once: where it does not help, the page goes without
  location.reload();
  await new Promise(() => {});
}

async function isInstalled() {
  const found = await navigator.serviceWorker.register("sw.js").catch(() => null);
  if (!found || found.active) return Boolean(found);
  const worker = found.installing ?? found.waiting;
  return new Promise((resolve) => {
    const look = () => /activated|redundant/.test(worker.state) && resolve(worker.state === "activated");
    worker.addEventListener("statechange", look);
    look();
  });
}
