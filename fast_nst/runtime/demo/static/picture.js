// Pictures: choose, drop or paste one, see it in the style, download it at full size.

import * as api from "./api.js";
import { element, onClick, resultName, save } from "./dom.js";
import * as stage from "./stage.js";

export function pictureMode(page) {
  let file = null;
  let original = null;
  let wanted = 0; // counts the wishes; a result is shown if no newer one came meanwhile
  let painting = false;

  async function open(chosen) {
    if (!chosen) return;
    stage.complain();
    if (chosen.size > page.info.max_picture_bytes) {
      const limit = Math.round(page.info.max_picture_bytes / 2 ** 20);
      return stage.complain(`${chosen.name} is larger than ${limit} MB, which is the most the demo takes.`);
    }
    stage.setBusy("Opening…");
    const mine = ++wanted;
    try {
      const opened = await api.open(chosen);
      if (mine !== wanted) return;
      [file, original] = [chosen, opened];
      if (page.mode() === "picture") reveal();
      paint();
    } catch (problem) {
      stage.setBusy();
      stage.complain(`${chosen.name}: ${problem.message}`);
    }
  }

  function reveal() {
    stage.show(original.bitmap, null);
    const reduced = original.size !== original.original;
    const [size, was] = [original.size, original.original].map((text) => text.replace("x", " × "));
    stage.tell(
      reduced ? `${size} pixels, reduced from ${was} (${page.info.more})` : `${size} pixels`,
    );
    page.arrange();
  }

  // One painting at a time: what is chosen while one runs is painted once, after it.
  async function paint() {
    wanted += 1;
    if (painting || !file) return;
    painting = true;
    try {
      let done;
      do {
        done = wanted;
        const { style, keepColor } = page.settings();
        if (page.mode() === "picture") stage.setBusy(`Painting in ${page.title(style)}…`);
        const source = original;
        const bitmap = await api.paint(file, { style, keepColor });
        if (page.mode() === "picture" && source === original) stage.show(source.bitmap, bitmap);
        else bitmap.close();
      } while (done !== wanted && page.mode() === "picture");
    } catch (problem) {
      stage.complain(problem.message);
    } finally {
      painting = false;
      stage.setBusy();
    }
  }

  async function download(format) {
    const button = element(`save-${format}`);
    button.disabled = true;
    try {
      const { style, keepColor, strength } = page.settings();
      save(await api.paintFile(file, { style, keepColor, strength, format }), resultName(file.name, style, format));
    } catch (problem) {
      stage.complain(problem.message);
    } finally {
      button.disabled = false;
    }
  }

  const chooser = element("picture-file");
  chooser.addEventListener("change", () => {
    open(chooser.files[0]);
    chooser.value = ""; // so that the same file can be chosen again
  });
  for (const id of ["choose", "another"]) onClick(id, () => chooser.click());
  onClick("sample", async () => open(await api.sample().catch((problem) => stage.complain(problem.message))));
  for (const format of ["png", "jpg"]) onClick(`save-${format}`, () => download(format));

  return {
    open,
    isShowing: () => Boolean(file),
    enter() {
      stage.setSplit(50);
      if (!file) return;
      reveal();
      paint();
    },
    leave() {},
    settingsChanged: paint,
  };
}
