// Runs the network off the page's thread: pixels in, pixels out, as fast_nst/runtime/color.py mixes them.

const HERE = new URL("onnxruntime/", import.meta.url).href;
const WASM = { bundle: "ort.wasm.min.js", engine: "ort-wasm-simd-threaded" };
const WEBGPU = { bundle: "ort.webgpu.min.js", engine: "ort-wasm-simd-threaded.asyncify" };
const JPEG_QUALITY = 0.95;

let ort = null;
let provider = "";
const sessions = new Map(); // file -> promise of a session
let last = { key: null, rgb: null }; // what was painted last, so that a moved slider does not paint again

/** Load onnxruntime and the first file; returns in words what it runs on. */
async function start({ file, weights, threads }) {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  if (adapter && !adapter.info?.isFallbackAdapter) {
    try {
      await load(WEBGPU, "webgpu", 1);
      await tryOut(file, weights);
      return "the graphics processor (WebGPU)";
    } catch (problem) {
      console.warn("WebGPU does not run this network:", problem);
      sessions.clear();
    }
  }
  await load(WASM, "wasm", threads);
  await tryOut(file, weights);
  return threads > 1 ? `${threads} threads (WebAssembly)` : "one thread (WebAssembly)";
}

async function load({ bundle, engine }, name, threads) {
  ort = await import(HERE + bundle);
  Object.assign(ort.env.wasm, {
    wasmPaths: { mjs: `${HERE}${engine}.js`, wasm: `${HERE}${engine}.wasm` },
    numThreads: threads,
  });
  provider = name;
}

function open(file) {
  if (!sessions.has(file)) {
    // One memory plan would be kept for every size of picture.
    const options = { executionProviders: [provider], enableMemPattern: false };
    sessions.set(file, ort.InferenceSession.create(new URL(file, import.meta.url).href, options));
  }
  return sessions.get(file);
}

const tryOut = (file, weights) => stylize(file, weights, new Uint8Array(16 * 16 * 4), 16, 16);

async function stylize(file, weights, rgba, width, height) {
  const session = await open(file);
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4) {
    rgb[to++] = rgba[from];
    rgb[to++] = rgba[from + 1];
    rgb[to++] = rgba[from + 2];
  }
  const inputs = { image: new ort.Tensor("uint8", rgb, [1, height, width, 3]) };
  if (session.inputNames.includes("style_weights")) {
    inputs.style_weights = new ort.Tensor("float32", Float32Array.from(weights), [1, weights.length]);
  }
  const { stylized } = await session.run(inputs);
  const painted = await stylized.getData();
  stylized.dispose();
  return painted;
}

async function paint({ image, number, file, weights, keepColor, strength = 1, format }) {
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0);
  image.close();
  const pixels = pen.getImageData(0, 0, width, height);
  const key = number && JSON.stringify([number, file, weights]);
  if (!key || key !== last.key) {
    last = { key: null, rgb: null }; // not two results at a time
    last = { key, rgb: await stylize(file, weights, pixels.data, width, height) };
  }
  mix(pixels.data, last.rgb, keepColor, strength);
  if (!format) return createImageBitmap(pixels);
  pen.putImageData(pixels, 0, 0);
  return canvas.convertToBlob({ type: format === "jpg" ? "image/jpeg" : "image/png", quality: JPEG_QUALITY });
}

/** Put the painted pixels into those of the original, whose array rounds and clips by itself. */
function mix(rgba, rgb, keepColor, strength) {
  for (let at = 0, from = 0; at < rgba.length; at += 4, from += 3) {
    const lighter =
      0.299 * (rgb[from] - rgba[at]) + 0.587 * (rgb[from + 1] - rgba[at + 1]) + 0.114 * (rgb[from + 2] - rgba[at + 2]);
    for (let channel = 0; channel < 3; channel++) {
      const original = rgba[at + channel];
      rgba[at + channel] = keepColor ? original + lighter : rgb[from + channel];
      if (strength < 1) rgba[at + channel] = original + strength * (rgba[at + channel] - original);
    }
  }
}

let turn = Promise.resolve(); // one at a time: a session takes no second call meanwhile

self.onmessage = ({ data }) => {
  turn = turn.then(async () => {
    try {
      const result = await ("image" in data ? paint(data) : start(data));
      self.postMessage({ id: data.id, result }, result instanceof ImageBitmap ? [result] : []);
    } catch (problem) {
      self.postMessage({ id: data.id, error: String(problem?.message ?? problem) });
    }
  });
};
