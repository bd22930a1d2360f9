// A canvas's stream to a video file, in the browser.

import { Problem } from "./api.js";

const KINDS = ["video/mp4;codecs=avc1.42E01E", "video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm"];

/** Record until `stop()`, which resolves to the file; `onTick` gets the seconds so far. */
export function startRecording(stream, onTick) {
  const kind = window.MediaRecorder && KINDS.find((type) => MediaRecorder.isTypeSupported(type));
  if (!kind) throw new Problem("This browser cannot record.");
  const recorder = new MediaRecorder(stream, { mimeType: kind, videoBitsPerSecond: 8_000_000 });
  const parts = [];
  recorder.ondataavailable = (event) => parts.push(event.data);
  recorder.start(1000);
  const started = performance.now();
  const timer = setInterval(() => onTick((performance.now() - started) / 1000), 500);
  return {
    suffix: kind.slice(6, kind.indexOf(";") > 0 ? kind.indexOf(";") : undefined),
    stop() {
      clearInterval(timer);
      return new Promise((resolve) => {
        recorder.onstop = () => {
          stream.getTracks().forEach((track) => track.stop());
          resolve(new Blob(parts, { type: kind }));
        };
        recorder.stop();
      });
    },
  };
}
