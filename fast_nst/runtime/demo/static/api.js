// Everything the page asks of the server, but for the live connection (live.js).

/** A failure with a message for the person at the page. */
export class Problem extends Error {}

const GONE = "The demo does not answer. Is fast-nst demo still running?";

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

export async function info() {
  return (await ask("api/info")).json();
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

/** A picture file -> the stylized one as a blob; with `format` at full size, to be saved. */
export async function paint(file, { style, keepColor, strength, format }) {
  const query = asQuery({ style, keep_color: keepColor, strength, format });
  return (await ask(`api/paint?${query}`, { method: "POST", body: file })).blob();
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
