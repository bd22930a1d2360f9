// The size of live frames that a machine keeps up with, by the times measured: the rule of fast_nst/runtime/live/budget.py.

const SIDES = [256, 320, 384, 448, 512, 640, 768, 960, 1280]; // below the first, strokes swallow a face
const FIRST = 384;
const TARGET = 0.75; // of the time between two frames of the camera
const MARGIN = 0.85; // of the target: a larger size has to be expected below
const WINDOW = 7; // frames of which the middle one counts: a hiccup is none
const PATIENCE = 30; // frames at one size before a larger one is tried
const LASTING = 900; // frames after which a step up was right, though it may be taken back some time

/**
 * Steps down when frames take more than `TARGET` of the time there is, up when more pixels will fit. A step up that
 * had to be taken back soon doubles the patience before the next one. `side` is the longer side for the next frame.
 */
export class Budget {
  side = FIRST;
  #frames = 0; // at this size
  #shares = [];
  #patience = PATIENCE;
  #rose = false;

  /** How long a frame took, as a share of the time between two, of a camera whose longer side is `longest`. */
  note(share, longest) {
    const most = Math.min(longest, SIDES.at(-1));
    const sides = [...SIDES.filter((side) => side < most), most];
    const now = Math.min(this.side, most);
    this.#frames += 1;
    if (this.#frames > 1) this.#shares = [...this.#shares, share].slice(-WINDOW); // the first gets memory ready
    if (this.#shares.length < WINDOW) return;
    const perPixel = [...this.#shares].sort((a, b) => a - b)[Math.floor(WINDOW / 2)] / now ** 2;
    const smaller = sides.filter((side) => side < now);
    const [larger] = sides.filter((side) => side > now);
    if (smaller.length && perPixel * now ** 2 > TARGET) {
      if (this.#rose) this.#patience = this.#frames < LASTING ? 2 * this.#patience : PATIENCE;
      this.#change(smaller.findLast((side) => perPixel * side ** 2 <= TARGET) ?? smaller[0], false);
    } else if (larger && this.#frames >= this.#patience && perPixel * larger ** 2 <= TARGET * MARGIN) {
      this.#change(larger, true);
    }
  }

  #change(side, rose) {
    [this.side, this.#rose] = [side, rose];
    [this.#frames, this.#shares] = [0, []];
  }
}
