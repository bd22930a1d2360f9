// Frames of a <video> through the network, one at a time: while one is painted, newer ones are let go.

import * as api from "./api.js";
import { pause } from "./dom.js";

const WINDOW = 2000; // milliseconds the frame rate is taken over

/**
 * Paint the video's newest frame again and again until `stop()` is called.
 *
 * @param {HTMLVideoElement} video
 * @param {object} options
 * @param {() => {style: string, keepColor: boolean, side: number, mirror: boolean}} options.settings
 * @param {(original: HTMLCanvasElement, painted: ImageBitmap | null) => void} options.onFrame called with null
 *   while the first frame is on its way
 * @param {(stats: {fps: number, source: number, latency: number}) => void} options.onStats
 * @param {(message: string | undefined) => void} options.onProblem called without a message once it is over
 * @returns {{stop: () => void, wake: () => void}} `wake` paints a paused video's frame once more.
 */
export function goLive(video, { settings, onFrame, onStats, onProblem }) {
  const capture = document.createElement("canvas");
  const painter = api.live();
  const results = []; // [when, frames the source had shown by then]
  let running = true;
  let presented = 0;
  let fresh = true;
  let wakeUp = () => {};

  function watch(_, metadata) {
    if (!running) return;
    presented = metadata.presentedFrames;
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
    const scale = Math.min(1, side / Math.max(videoWidth, videoHeight));
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
    results.push([now, presented]);
    while (results.length > 2 && now - results[0][0] > WINDOW) results.shift();
    const [since, had] = results[0];
    const seconds = (now - since) / 1000 || Infinity;
    onStats({ fps: (results.length - 1) / seconds, source: (presented - had) / seconds, latency });
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
