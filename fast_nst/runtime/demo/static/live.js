// Frames of a <video> through the network, one at a time: while one is painted, newer ones are let go.

import * as api from "./api.js";
import { Budget } from "./budget.js";
import { pause } from "./dom.js";

const WINDOW = 2000; // milliseconds the frame rate is taken over
const USUAL_RATE = 30; // of a source whose rate the browser does not tell

/**
 * Paint the video's newest frame again and again until `stop()` is called.
 *
 * @param {HTMLVideoElement} video
 * @param {object} options
 * @param {() => {style: string, keepColor: boolean, side: number | null, mirror: boolean, hold: boolean}}
 *   options.settings without a `side` it is what keeps up with the source; `hold` leaves that as it is
 * @param {(original: HTMLCanvasElement, painted: ImageBitmap | null) => void} options.onFrame called with null
 *   while the first frame is on its way
 * @param {(stats: {fps: number, source: number, latency: number, side: number}) => void} options.onStats
 * @param {(message: string | undefined) => void} options.onProblem called without a message once it is over
 * @returns {{stop: () => void, wake: () => void}} `wake` paints a paused video's frame once more.
 */
export function goLive(video, { settings, onFrame, onStats, onProblem }) {
  const capture = document.createElement("canvas");
  const painter = api.live();
  const budget = new Budget();
  const results = []; // [when, frames the source had shown by then, when it showed the last of them]
  let running = true;
  let presented = [0, 0];
  let fresh = true;
  let wakeUp = () => {};

  function watch(now, metadata) {
    if (!running) return;
    presented = [metadata.presentedFrames, now];
    wake();
    video.requestVideoFrameCallback(watch);
  }

  function wake() {
    fresh = true;
    wakeUp();
  }

  async function newFrame() {
    if (!fresh) await new Promise((resolve) => (wakeUp = resolve));
    fresh = false;
  }

  function draw() {
    const { side, mirror } = settings();
    const { videoWidth, videoHeight } = video;
    const scale = Math.min(1, (side ?? budget.side) / Math.max(videoWidth, videoHeight));
    const [width, height] = [videoWidth, videoHeight].map((length) => Math.max(1, Math.round(length * scale)));
    if (capture.width !== width || capture.height !== height) Object.assign(capture, { width, height });
    const pen = capture.getContext("2d");
    pen.setTransform(mirror ? -1 : 1, 0, 0, 1, mirror ? width : 0, 0);
    pen.drawImage(video, 0, 0, width, height);
  }

  async function paintOne() {
    await painter.ready();
    draw();
    if (!results.length) onFrame(capture, null);
    const started = performance.now();
    const painted = await painter.paint(capture, settings());
    if (!running) return painted.close();
    onFrame(capture, painted);
    count(performance.now() - started);
  }

  function count(latency) {
    const now = performance.now();
    results.push([now, ...presented]);
    while (results.length > 2 && now - results[0][0] > WINDOW) results.shift();
    const [since, had, shown] = results[0];
    const rate = (frames, milliseconds) => (milliseconds ? (frames / milliseconds) * 1000 : 0);
    const source = rate(presented[0] - had, presented[1] - shown);
    const side = Math.max(capture.width, capture.height);
    onStats({ fps: rate(results.length - 1, now - since), source, latency, side });
    const { side: fixed, hold } = settings();
    if (fixed || hold || video.paused) return;
    budget.note((latency / 1000) * (source || USUAL_RATE), Math.max(video.videoWidth, video.videoHeight));
  }

  async function loop() {
    let failed = false;
    while (running) {
      await newFrame();
      if (!running) break;
      try {
        await paintOne();
        if (failed) onProblem();
        failed = false;
      } catch (problem) {
        failed = true;
        if (running) onProblem(problem.message);
        await pause(1000);
        fresh = true; // try again, a paused video too
      }
    }
    painter.close();
  }

  let timer = null;
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(watch);
  else timer = setInterval(() => video.paused || wake(), 33); // Firefox before 132
  loop();
  return {
    wake,
    stop() {
      running = false;
      clearInterval(timer);
      wake();
    },
  };
}
