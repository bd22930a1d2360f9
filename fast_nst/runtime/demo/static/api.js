// Everything the page asks of the server. The page that has none has the one of ../web/ in its place.

/** A failure with a message for the person at the page. */
export class Problem extends Error {}

const GONE = "The demo does not answer. Is fast-nst demo still running?";
const QUALITY = 0.9; // of the JPEG a frame is sent as

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Problem(GONE);
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  throw new Problem(said.error ?? `The demo answered ${response.status}.`);
}

const asQuery = (values) => new URLSearchParams(Object.entries(values).filter(([, value]) => value !== undefined));

/** What is on offer and what the page says of it; without `max_clip_bytes` no clip can be rendered. */
export async function info() {
  const told = await (await ask("api/info")).json();
  return {
    ...told,
    kinds: "JPEG, PNG, WebP, TIFF, AVIF and more.",
    more: "start with a higher --max-pixels for more",
    here: told.only_here ? "Frames go to the program on this machine and nowhere else." : "",
  };
}

export const previewAddress = (style) => `api/preview?${asQuery({ style })}`;

export async function sample() {
  const blob = await (await ask("api/sample")).blob();
  return new File([blob], "chelsea.jpg", { type: blob.type });
}

/** A picture file -> {bitmap, size, original}: what it looks like, upright and within the limit. */
export async function open(file) {
  const response = await ask("api/open", { method: "POST", body: file });
  return {
    bitmap: await createImageBitmap(await response.blob()),
    size: response.headers.get("X-Size"),
    original: response.headers.get("X-Original-Size"),
  };
}

/** A picture file -> the stylized one to be shown, an ImageBitmap. */
export async function paint(file, wish) {
  return createImageBitmap(await paintFile(file, wish));
}

/** A picture file -> the stylized one as a blob; with `format` at full size, to be saved. */
export async function paintFile(file, { style, keepColor, strength, format }) {
  const query = asQuery({ style, keep_color: keepColor, strength, format });
  return (await ask(`api/paint?${query}`, { method: "POST", body: file })).blob();
}

/** Frames of a canvas, one at a time: `paint` resolves to an ImageBitmap, once `ready` has. */
export function live() {
  let socket = null;
  let told = "";
  return {
    async ready() {
      if (socket?.readyState === WebSocket.OPEN) return;
      socket = await connect();
      told = "";
    },
    async paint(frame, { style, keepColor }) {
      const wish = JSON.stringify({ style, keep_color: keepColor });
      if (wish !== told) socket.send(wish);
      told = wish;
      socket.send(await new Promise((resolve) => frame.toBlob(resolve, "image/jpeg", QUALITY)));
      const reply = await answer(socket);
      if (typeof reply === "string") throw new Problem(JSON.parse(reply).error);
      return createImageBitmap(reply);
    },
    close: () => socket?.close(),
  };
}

function connect() {
  return new Promise((resolve, reject) => {
    const address = new URL("api/live", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    const socket = new WebSocket(address);
    socket.binaryType = "blob";
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Problem(GONE));
  });
}

function answer(socket) {
  return new Promise((resolve, reject) => {
    socket.onmessage = (event) => resolve(event.data);
    socket.onclose = () => reject(new Problem("The connection to the demo broke off; trying again."));
  });
}

/** Upload a clip to be rendered: its status. Rejects with an AbortError when `signal` breaks it off. */
export async function renderClip(file, { style, keepColor, strength }, signal) {
  const query = asQuery({ style, keep_color: keepColor, strength, name: file.name });
  return (await ask(`api/clips?${query}`, { method: "POST", body: file, signal })).json();
}

export async function clipStatus(id) {
  return (await ask(`api/clips/${id}`)).json();
}

export async function cancelClip(id) {
  await ask(`api/clips/${id}`, { method: "DELETE" });
}

export const clipAddress = (id, name) => `api/clips/${id}/file?${asQuery({ name })}`;
