// Keeps the page's files, so that it works offline, and serves them with the headers that threads need.
// `fast-nst demo --static` writes what stands in capitals: a hash of all files, the names of the small
// ones, and the folders of the large ones, which are kept when they are first used.

const VERSION = "@VERSION@";
const SMALL = ["@SMALL@"];
const LARGE = ["@LARGE@"];
const OURS = `fast_nst ${self.registration.scope} `; // other pages of this host have caches too
const CACHE = OURS + VERSION;
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  // For the worker, which does not heed the page's own.
  "Content-Security-Policy":
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:; media-src 'self' blob:",
};

self.addEventListener("install", (event) => {
  self.skipWaiting(); // else the former version stays as long as any of its pages is open
  const fresh = SMALL.map((name) => new Request(name, { cache: "reload" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(fresh)));
});

self.addEventListener("activate", (event) => {
  const former = (name) => name.startsWith(OURS) && name !== CACHE;
  event.waitUntil(
    caches.keys().then((names) => Promise.all(names.filter(former).map((name) => caches.delete(name)))),
  );
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && isOurs(new URL(request.url))) event.respondWith(answer(event, request));
});

/** Other pages may lie below this one. */
function isOurs({ origin, pathname }) {
  const scope = new URL(self.registration.scope);
  if (origin !== scope.origin || !pathname.startsWith(scope.pathname)) return false;
  const name = pathname.slice(scope.pathname.length);
  return ["", "index.html", ...SMALL].includes(name) || LARGE.some((folder) => name.startsWith(folder));
}

async function answer(event, request) {
  const cache = await caches.open(CACHE);
  const page = request.mode === "navigate";
  const top = new URL(request.url).pathname.endsWith("/index.html"); // kept under the folder's own name
  let found = await cache.match(top ? "./" : request, { ignoreSearch: true });
  if (!found) {
    found = await fetch(request, page ? {} : { cache: "no-cache" });
    if (found.status === 200) event.waitUntil(cache.put(request, found.clone()).catch(() => {}));
  }
  const headers = new Headers(found.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(found.body, { status: found.status, statusText: found.statusText, headers });
}
