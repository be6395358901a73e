// A connection that breaks: offline for a while, a server started anew, a laptop that slept. The page keeps all that it
// shows and says so; what is pressed meanwhile waits. Once the server answers again the page goes on in a new session,
// and hands it what the old one knew of it. Gradio by itself would load the page anew, and forget what was typed.
//
// It knows of Gradio's talk: POST queue/join and run/..., answers on the stream queue/data, a session of its own in each.
// mgKeep(values): what was typed or chosen, kept for a reload of this tab. mgKept(): that, for the server, or "".
(() => {
  "use strict";

  const EVERY = 400, PATIENCE = 3000, SILENCE = 45_000; // ms; the server says something at least every 15 s
  const native = window.fetch.bind(window), asked = new Set(), encoder = new TextEncoder();
  let home = null; // where Gradio asks; a proxy may have put it below a path
  const api = (path) => new URL(`${home ?? window.gradio_config.root}/gradio_api/${path}`, location.href);
  let session = null; // in place of the one that the page began with
  let lost = null, reached = null, restoring = "", restored = null;
  let out = null, upstream = null, heard = Date.now();

  const wait = (ms) => new Promise((done) => setTimeout(done, ms));

  function say(lostNow) {
    let bar = document.querySelector("#mg-lost");
    if (!lostNow) return bar?.remove();
    if (bar) return;
    bar = document.createElement("div");
    Object.assign(bar, { id: "mg-lost", textContent: "Connection lost, trying again" });
    bar.setAttribute("role", "status");
    document.body.append(bar);
  }

  async function answers() {
    try {
      const answer = await native(api("app_id"), { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
      return answer.ok ? (await answer.json()).app_id : null;
    } catch { return null; }
  }

  // Whether the server still is the one that this page was made by; a new version needs a new page.
  async function same(id) {
    if (id === window.gradio_config.app_id) return true;
    const config = await (await native(api("../config"), { cache: "no-store" })).json();
    if (JSON.stringify(config.dependencies) !== JSON.stringify(window.gradio_config.dependencies)) return false;
    window.gradio_config.app_id = id;
    return true;
  }

  // To Gradio all that was under way has ended, and changed nothing.
  function endAll() {
    const tell = (message) => {
      try { out?.enqueue(encoder.encode(`data: ${JSON.stringify(message)}\n\n`)); } catch { /* closed */ }
    };
    for (const id of asked) tell({ msg: "process_completed", event_id: id, success: true, output: { data: [] } });
    asked.clear();
    tell({ msg: "close_stream", event_id: null });
    try { out?.close(); } catch { /* closed */ }
    out = null;
  }

  async function again(reach) {
    say(true);
    upstream?.abort();
    let id;
    while (!(id = await answers())) await wait(EVERY);
    if (!(await same(id).catch(() => true))) return location.reload();
    endAll();
    session = Math.random().toString(36).slice(2);
    heard = Date.now();
    alive(session);
    reach();
    const field = document.querySelector("#again textarea, #again input");
    restoring = JSON.stringify({ ...kept(), typed: null, nonce: session });
    const done = new Promise((resolve) => { restored = resolve; });
    field.value = restoring;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    await Promise.race([done, wait(8000)]);
    restoring = "";
    say(false);
  }

  function loses() {
    if (lost) return;
    let reach;
    reached = new Promise((resolve) => { reach = resolve; });
    lost = again(reach).catch((error) => console.warn(error)).finally(() => { reach(); lost = null; });
  }

  // Tells the server that the page is open, as Gradio does for the session that it began.
  async function alive(mine) {
    try {
      const reader = (await native(api(`heartbeat/${mine}`))).body.getReader();
      while (!(await reader.read()).done) heard = Date.now();
    } catch { /* said below */ }
    if (mine === session && !lost) loses();
  }

  async function ask(address, init) {
    const body = JSON.parse(init.body);
    // Pause and Stop need no more than the server; all else what it remembers of this page, which comes back first.
    const steers = /\/run\/\w+\/?$/.test(address.pathname) && !body.data?.includes(null);
    for (;;) {
      const mine = restoring && body.data?.[0] === restoring;
      if (lost && !mine) await (steers ? reached : lost);
      if (session) body.session_hash = session;
      let answer = null;
      try { answer = await native(address, { ...init, body: JSON.stringify(body) }); } catch { /* said below */ }
      if (answer && ![502, 504].includes(answer.status)) {
        const { event_id: id } = await answer.clone().json().catch(() => ({}));
        if (id) asked.add(id);
        if (mine) restoring = id;
        return answer;
      }
      if (!mine) loses();
      await wait(EVERY);
    }
  }

  async function pump(address, mine) {
    if (session) address.searchParams.set("session_hash", session);
    const reader = (await native(address, { signal: upstream.signal })).body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = ""; ;) {
      const { done, value } = await reader.read();
      if (done) return false;
      heard = Date.now();
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const message = JSON.parse(part.replace(/^data: /, ""));
        if (message.msg === "unexpected_error" || message.msg === "server_stopped") return false;
        if (message.msg === "process_completed") {
          asked.delete(message.event_id);
          if (message.event_id === restoring) restored?.();
        }
        if (out !== mine) return true;
        mine.enqueue(encoder.encode(`${part}\n\n`));
        if (message.msg === "close_stream") { mine.close(); return true; }
      }
    }
  }

  function stream(request) {
    upstream = new AbortController();
    const body = new ReadableStream({
      start(mine) {
        out = mine;
        request.signal.addEventListener("abort", () => {
          if (out === mine) { out = null; upstream.abort(); }
          try { mine.error(new DOMException("", "AbortError")); } catch { /* closed */ }
        });
        pump(new URL(request.url), mine).catch(() => false).then((whole) => { if (!whole && out === mine) loses(); });
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }

  window.fetch = function (input, init) {
    const address = new URL(input.url ?? input, location.href);
    home ??= address.href.match(/^(.+)\/gradio_api\/(?:queue|run)\//)?.[1] ?? null;
    if (/\/queue\/data$/.test(address.pathname)) return Promise.resolve(stream(input));
    const asks = init?.method === "POST" && typeof init.body === "string";
    return asks && /\/(queue\/join|run\/\w+)\/?$/.test(address.pathname) ? ask(address, init) : native(input, init);
  };

  window.addEventListener("offline", loses);
  // A stream that the network forgot, as after a sleep, is as silent as a run at rest.
  setInterval(() => { if (session && Date.now() - heard > SILENCE) loses(); }, 2000);

  // ---- what was typed and chosen, for a reload of this tab ----

  const KEY = "minigpt-kept";
  const run = () => new URL(location.href).searchParams.get("run") || "";
  let now = { typed: null, own: "", cleared: "", mirror: "" };
  const kept = () => ({ ...now, run: run() });

  window.mgKeep = (names, values) => {
    const { mirror, ...typed } = Object.fromEntries(names.map((name, i) => [name, values[i]]));
    const before = now.typed?.text;
    if (!typed.text && before) now.cleared = before;
    if (typed.lesson === "own") now.own = typed.text;
    Object.assign(now, { typed, mirror });
    window.mgSave();
    requestAnimationFrame(window.mgTurn); // What a box was given tells its direction.
  };

  // Also whenever the address names another run: else what is typed for the new one would come back with the old one.
  let left = false;
  window.addEventListener("popstate", () => { left = true; });
  window.mgSave = () => {
    if (left || !now.typed) return;
    try { sessionStorage.setItem(KEY, JSON.stringify(kept())); } catch { /* blocked or full: no memory */ }
  };

  // Only where the same page comes back: whoever opens the address anew begins anew.
  window.mgKept = () => {
    const [{ type }] = performance.getEntriesByType("navigation");
    let old = null;
    try { old = sessionStorage.getItem(KEY); } catch { /* blocked: no memory */ }
    if (!old || (type === "navigate" && window.parent === window)) return "";
    if (JSON.parse(old).run !== run()) return "";
    now = JSON.parse(old);
    return old;
  };
})();
