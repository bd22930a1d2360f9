// Small helpers around the document.

export const element = (id) => document.getElementById(id);

export const onClick = (id, action) => element(id).addEventListener("click", action);

/** Hand a blob to the browser's downloads. */
export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** "holiday.jpg" in the style "strokes" -> "holiday-strokes.png" */
export const resultName = (name, style, suffix) =>
  `${name.replace(/\.\w{1,5}$/, "") || "picture"}-${style.replace(/[^\w-]+/g, "-")}.${suffix}`;

export const asTime = (seconds) =>
  `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
