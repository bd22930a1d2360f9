// "Render the whole clip": upload, progress, download.

import * as api from "./api.js";
import { asTime, element, onClick, pause, resultName } from "./dom.js";
import * as stage from "./stage.js";

export function renderBox(page) {
  const box = element("render-box");
  const bar = element("render-progress");
  const link = element("render-file");
  const cancelButton = element("render-cancel");
  const startButton = element("render");
  let upload = null; // an AbortController, while the file is on its way
  let clip = null;

  async function start(file) {
    stage.complain();
    if (file.size > page.info.max_clip_bytes) {
      return stage.complain(`${file.name} is larger than ${page.info.max_clip_bytes / 2 ** 30} GB, which is the most.`);
    }
    startButton.disabled = true;
    link.hidden = true;
    cancelButton.hidden = false;
    box.hidden = false;
    box.scrollIntoView({ block: "nearest" });
    bar.removeAttribute("value");
    say("Uploading…");
    const { style, keepColor, strength } = page.settings();
    try {
      upload = new AbortController();
      clip = await api.renderClip(file, { style, keepColor, strength }, upload.signal);
      upload = null;
      while (clip.state === "waiting" || clip.state === "rendering") {
        report();
        await pause(400);
        clip = await api.clipStatus(clip.id);
      }
      finish(resultName(file.name, style, "mp4"));
    } catch (problem) {
      box.hidden = true;
      if (problem.name !== "AbortError") stage.complain(problem.message);
    } finally {
      upload = clip = null;
      startButton.disabled = false;
    }
  }

  function report() {
    const { state, frames, total, seconds } = clip;
    if (state === "waiting" || !frames) return say(state === "waiting" ? "Waiting for another clip…" : "Starting…");
    const rate = frames / seconds;
    if (!total) return say(`${frames} frames, ${rate.toFixed(1)} a second`);
    bar.value = frames / total;
    say(`${frames} of ${total} frames, ${rate.toFixed(1)} a second, ${asTime((total - frames) / rate)} left`);
  }

  function finish(name) {
    cancelButton.hidden = true;
    if (clip.state !== "done") {
      box.hidden = true;
      if (clip.state === "failed") stage.complain(`The clip could not be rendered: ${clip.error}`);
      return;
    }
    bar.value = 1;
    say(`Done: ${clip.frames} frames in ${asTime(clip.seconds)}.`);
    if (clip.problem) stage.complain(`The clip is rendered as far as it could be read: ${clip.problem}`);
    link.href = api.clipAddress(clip.id, name);
    link.download = name;
    link.hidden = false;
  }

  function say(text) {
    element("render-text").textContent = text;
  }

  onClick("render-cancel", () => {
    upload?.abort();
    if (clip) api.cancelClip(clip.id).catch((problem) => stage.complain(problem.message));
  });
  return { start };
}
