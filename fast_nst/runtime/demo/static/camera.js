// The camera, and what to say when there is none.

import { Problem } from "./api.js";

const REASONS = {
  NotAllowedError:
    "The camera was refused. Allow it for this page (the camera sign beside the address), then start it again.",
  SecurityError: "This browser does not give the camera to this page.",
  NotFoundError: "No camera was found. Connect one and start again; pictures and videos work without.",
  NotReadableError: "The camera is in use by another program. Close that, then start again.",
  AbortError: "The camera could not be started.",
};

/** A camera's stream, by its id or any; rejects with a Problem. */
export async function openCamera(id) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Problem(
      "Browsers give the camera only to pages on localhost or over https. " +
        "Open the demo on the machine it runs on; pictures and videos work from here.",
    );
  }
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: id ? { ...video, deviceId: { exact: id } } : { ...video, facingMode: "user" },
    });
  } catch (error) {
    throw new Problem(REASONS[error.name] ?? `The camera could not be started (${error.message || error.name}).`);
  }
}

/** [{id, label}] of the cameras there are; labels are known once one was allowed. */
export async function listCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices
    .filter((device) => device.kind === "videoinput")
    .map((device, index) => ({ id: device.deviceId, label: device.label || `Camera ${index + 1}` }));
}
