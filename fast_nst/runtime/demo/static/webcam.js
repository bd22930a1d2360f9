// The webcam: live in the style, snapshots, recordings.

import { listCameras, openCamera } from "./camera.js";
import { asTime, element, onClick, resultName, save } from "./dom.js";
import { goLive } from "./live.js";
import { startRecording } from "./recorder.js";
import * as stage from "./stage.js";

export function webcamMode(page) {
  const player = element("player");
  const chooser = element("camera");
  const recordButton = element("record");
  let stream = null;
  let live = null;
  let recording = null;

  async function start() {
    const button = element("start-camera");
    stage.complain();
    button.disabled = true;
    try {
      await open();
    } catch (problem) {
      stage.complain(problem.message);
    } finally {
      button.disabled = false;
    }
  }

  async function open(id) {
    const opened = await openCamera(id);
    if (page.mode() !== "webcam") return end(opened); // the person went elsewhere meanwhile
    end(stream);
    stream = opened;
    stream.getVideoTracks()[0].addEventListener("ended", () => {
      stop();
      stage.complain("The camera was disconnected.");
    });
    player.muted = true;
    player.srcObject = stream;
    await player.play().catch(() => {}); // stopped meanwhile
    if (stream !== opened) return;
    live ??= goLive(player, {
      settings: () => ({ ...page.settings(), mirror: element("mirror").checked, hold: Boolean(recording) }),
      onFrame: stage.show,
      onStats: (stats) => stage.setStats(stats),
      onProblem: stage.complain,
    });
    await offerCameras(opened);
    page.arrange();
  }

  async function offerCameras(opened) {
    const cameras = await listCameras();
    const current = opened.getVideoTracks()[0].getSettings().deviceId;
    chooser.replaceChildren(...cameras.map(({ id, label }) => new Option(label, id, false, id === current)));
    element("camera-control").classList.toggle("single", cameras.length < 2);
  }

  function end(which) {
    which?.getTracks().forEach((track) => track.stop());
  }

  function stop() {
    if (recording) toggleRecording();
    live?.stop();
    end(stream);
    [live, stream] = [null, null];
    player.srcObject = null;
    stage.setStats();
    page.arrange();
  }

  async function toggleRecording() {
    if (!recording) {
      try {
        recording = startRecording(stage.resultStream(), (seconds) => label(`Stop ${asTime(seconds)}`));
      } catch (problem) {
        return stage.complain(problem.message);
      }
    } else {
      const { stop: finish, suffix } = recording;
      recording = null;
      save(await finish(), resultName("webcam", page.settings().style, suffix));
    }
    label(recording ? "Stop 0:00" : "Record");
    recordButton.setAttribute("aria-pressed", String(Boolean(recording)));
    element("side").disabled = Boolean(recording); // a recording has one size
  }

  function label(text) {
    recordButton.querySelector("span").textContent = text;
  }

  onClick("start-camera", start);
  onClick("stop-camera", stop);
  onClick("record", toggleRecording);
  onClick("snapshot", async () => save(await stage.snapshot(), resultName("webcam", page.settings().style, "png")));
  chooser.addEventListener("change", () => open(chooser.value).catch((problem) => stage.complain(problem.message)));
  element("mirror").addEventListener("change", () => live?.wake());

  return {
    isShowing: () => Boolean(stream),
    enter() {
      stage.setSplit(0);
    },
    leave: stop,
    settingsChanged: () => live?.wake(),
  };
}
