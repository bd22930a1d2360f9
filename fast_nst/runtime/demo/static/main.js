// Puts the page together: modes, styles, sliders, theme.

import * as api from "./api.js";
import { element, onClick } from "./dom.js";
import { pictureMode } from "./picture.js";
import * as stage from "./stage.js";
import { videoMode } from "./video.js";
import { webcamMode } from "./webcam.js";

const NAMES = ["picture", "webcam", "video"];
let current = "picture";
let modes = {};

const page = {
  info: null,
  mode: () => current,
  settings: () => ({
    style: mixture(),
    keepColor: element("keep-color").checked,
    strength: Number(element("strength").value) / 100,
    side: Number(element("side").value) || null,
  }),
  title: (style) =>
    style
      .replaceAll("_", " ")
      .replaceAll(",", ", ")
      .replaceAll(/:([\d.]+)/g, (_, share) => ` ${Math.round(share * 100)} %`),
  arrange,
};

const chosen = () => document.querySelector("input[name=style]:checked").value;

/** The style chosen, or it and its partner with the share of each, as the server takes it. */
function mixture() {
  const [partner, share] = [element("partner").value, Number(element("mix").value) / 100];
  return partner ? `${chosen()}:${(1 - share).toFixed(2)},${partner}:${share.toFixed(2)}` : chosen();
}

/** Show what belongs to the mode and to whether it has something to show. */
function arrange() {
  const showing = modes[current].isShowing();
  for (const part of document.querySelectorAll("[data-mode]")) {
    const here = part.dataset.mode.split(" ").includes(current);
    const early = part.classList.contains("empty");
    const late = part.parentElement.classList.contains("actions");
    part.hidden = !here || (early && showing) || (late && !showing);
  }
  const playable = current !== "video" || modes.video.isPlayable();
  stage.setVisible(showing && playable);
  element("transport").hidden = !(current === "video" && showing && playable);
}

function choose(name) {
  if (name === current) return;
  modes[current].leave();
  current = name;
  for (const other of NAMES) {
    const tab = element(`tab-${other}`);
    tab.setAttribute("aria-selected", String(other === name));
    tab.tabIndex = other === name ? 0 : -1;
  }
  element("panel").setAttribute("aria-labelledby", `tab-${name}`);
  element("render-box").classList.toggle("elsewhere", name !== "video");
  stage.complain();
  stage.tell();
  stage.setBusy();
  stage.setStats();
  arrange();
  modes[name].enter();
}

function wireTabs() {
  for (const name of NAMES) onClick(`tab-${name}`, () => choose(name));
  element("tabs").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = NAMES[(NAMES.indexOf(current) + step + NAMES.length) % NAMES.length];
    choose(next);
    element(`tab-${next}`).focus();
  });
}

function listStyles(styles) {
  const cards = styles.map(({ name }, index) => {
    const card = document.createElement("label");
    card.className = "card";
    const radio = Object.assign(document.createElement("input"), { type: "radio", name: "style", value: name });
    radio.checked = index === 0;
    const image = Object.assign(new Image(150, 100), { src: api.previewAddress(name), alt: "" });
    const title = Object.assign(document.createElement("span"), { textContent: page.title(name) });
    card.append(radio, image, title);
    return card;
  });
  element("styles").querySelector(".grid").replaceChildren(...cards);
  const attribute = () => {
    const used = styles.filter(({ name }) => name === chosen() || name === element("partner").value);
    element("attribution").textContent = used.map(({ attribution }) => attribution).filter(Boolean).join("; ");
  };
  const offerPartners = () => {
    const { file } = styles.find(({ name }) => name === chosen());
    const others = styles.filter((other) => other.file === file && other.name !== chosen());
    const before = element("partner").value;
    const options = others.map(({ name }) => new Option(page.title(name), name, false, name === before));
    element("partner").replaceChildren(new Option("nothing", ""), ...options);
    element("mix-control").hidden = !others.length;
    showShare();
  };
  element("styles").addEventListener("change", offerPartners);
  for (const id of ["styles", "partner"]) element(id).addEventListener("change", attribute);
  offerPartners();
  attribute();
}

function showShare() {
  element("mix").disabled = !element("partner").value;
  element("mix-value").textContent = `${element("mix").value} %`;
}

function wireSettings() {
  const changed = () => modes[current].settingsChanged();
  for (const id of ["styles", "keep-color"]) element(id).addEventListener("change", changed);
  element("side").addEventListener("change", changed);
  for (const [id, event] of [["partner", "change"], ["mix", "input"]]) {
    element(id).addEventListener(event, () => {
      showShare();
      changed();
    });
  }
  element("strength").addEventListener("input", () => {
    const { strength } = page.settings();
    element("strength-value").textContent = `${Math.round(strength * 100)} %`;
    stage.setStrength(strength);
  });
}

function wireFiles() {
  const offer = (file) => {
    if (!file) return;
    const isVideo = file.type.startsWith("video/") || /\.(mkv|avi|mov|m4v|mts|ts|wmv|flv)$/i.test(file.name);
    const mode = isVideo ? "video" : "picture";
    choose(mode);
    modes[mode].open(file);
  };
  const area = document.documentElement;
  area.addEventListener("dragover", (event) => {
    event.preventDefault();
    area.classList.add("dragging");
  });
  for (const end of ["dragleave", "drop"]) {
    area.addEventListener(end, (event) => {
      if (end === "drop" || !event.relatedTarget) area.classList.remove("dragging");
    });
  }
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    offer(event.dataTransfer.files[0]);
  });
  document.addEventListener("paste", (event) => offer(event.clipboardData.files[0]));
}

function wireTheme() {
  const root = document.documentElement;
  const stored = localStorage.getItem("theme");
  if (stored) root.dataset.theme = stored;
  onClick("theme", () => {
    const dark = root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  });
}

/** What the network runs on, where it is the browser that runs it. */
async function sayEngine(engine) {
  const line = element("engine");
  line.textContent = "Loading the network…";
  try {
    line.textContent = await engine;
  } catch (problem) {
    line.textContent = "";
    stage.complain(problem.message);
  }
}

async function start() {
  wireTheme();
  try {
    page.info = await api.info();
  } catch (problem) {
    return stage.complain(problem.message);
  }
  listStyles(page.info.styles);
  modes = { picture: pictureMode(page), webcam: webcamMode(page), video: videoMode(page) };
  element("kinds").textContent = page.info.kinds;
  element("here").textContent = page.info.here;
  element("render").hidden = !page.info.max_clip_bytes;
  if (page.info.engine) sayEngine(page.info.engine);
  wireTabs();
  wireSettings();
  wireFiles();
  arrange();
  document.body.classList.add("ready");
}

start();
