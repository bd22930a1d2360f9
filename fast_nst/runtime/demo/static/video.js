// Video files: played in the style as fast as the machine can, and rendered whole where a server does it.

import { asTime, element, onClick, resultName, save } from "./dom.js";
import { goLive } from "./live.js";
import { renderBox } from "./render.js";
import * as stage from "./stage.js";

export function videoMode(page) {
  const player = element("player");
  const seek = element("seek");
  const render = renderBox(page);
  let file = null;
  let address = "";
  let live = null;
  let playable = false;

  function open(chosen) {
    if (!chosen) return;
    stage.complain();
    close();
    [file, address] = [chosen, URL.createObjectURL(chosen)];
    playable = true;
    load();
    page.arrange();
  }

  function load() {
    player.srcObject = null;
    player.src = address;
    player.loop = true;
    player.muted = element("mute").getAttribute("aria-pressed") === "true";
    live = goLive(player, {
      settings: () => ({ ...page.settings(), mirror: false }),
      onFrame: stage.show,
      onStats: (stats) => stage.setStats(player.paused ? null : stats),
      onProblem: stage.complain,
    });
    player.play().catch(() => {}); // without a touch of the page browsers may keep it paused
  }

  function close() {
    live?.stop();
    live = null;
    if (address) URL.revokeObjectURL(address);
    [file, address, playable] = [null, "", false];
    player.removeAttribute("src");
    player.load();
  }

  const mine = (action) => () => page.mode() === "video" && file && action();
  player.addEventListener("error", mine(() => {
    playable = false;
    live?.stop();
    const still = page.info.max_clip_bytes ? " It can still be rendered whole." : "";
    stage.complain(`This browser cannot play ${file.name}.${still}`);
    page.arrange();
  }));
  player.addEventListener("seeked", mine(() => live?.wake()));
  player.addEventListener("loadeddata", mine(() => live?.wake()));
  player.addEventListener("durationchange", mine(() => (seek.max = player.duration || 1)));
  player.addEventListener("timeupdate", mine(() => {
    seek.value = player.currentTime;
    element("time").textContent = `${asTime(player.currentTime)} / ${asTime(player.duration || 0)}`;
  }));
  for (const event of ["play", "pause"]) {
    player.addEventListener(event, mine(() => {
      element("play").classList.toggle("playing", !player.paused);
      element("play").setAttribute("aria-label", player.paused ? "Play" : "Pause");
    }));
  }
  seek.addEventListener("input", mine(() => (player.currentTime = Number(seek.value))));
  onClick("play", mine(() => (player.paused ? player.play() : player.pause())));
  onClick("mute", mine(() => {
    player.muted = !player.muted;
    element("mute").setAttribute("aria-pressed", String(player.muted));
  }));

  const chooser = element("video-file");
  chooser.addEventListener("change", () => {
    open(chooser.files[0]);
    chooser.value = "";
  });
  for (const id of ["choose-video", "another-video"]) onClick(id, () => chooser.click());
  onClick("snapshot-video", async () =>
    save(await stage.snapshot(), resultName(file.name, page.settings().style, "png")));
  onClick("render", () => render.start(file));

  return {
    open,
    isShowing: () => Boolean(file),
    isPlayable: () => playable,
    enter() {
      stage.setSplit(0);
      if (file && playable) load();
    },
    leave() {
      live?.stop();
      live = null;
      player.pause();
      stage.setStats();
    },
    settingsChanged: () => live?.wake(),
  };
}
