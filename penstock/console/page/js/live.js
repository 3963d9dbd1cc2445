// Changes as the console tells them (server-sent events): who listens asks for what it shows again.

const listeners = new Set();
let source = null;

/** Call `listener(change)` for every change; `null` means: anything may have changed. Return how to stop. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Open the stream; `onState({live, status})` hears whether it is there and how far the console has read. */
export function connect(onState) {
  disconnect();
  source = new EventSource("v1/events");
  source.onopen = () => { onState({ live: true }); tell(null); };
  source.onerror = () => onState({ live: false });
  source.addEventListener("change", (event) => tell(JSON.parse(event.data)));
  source.addEventListener("status", (event) => onState({ live: true, status: JSON.parse(event.data) }));
}

export function disconnect() {
  source?.close();
  source = null;
}

function tell(change) {
  for (const listener of [...listeners]) listener(change);
}

/** Say whether a change is about a run. */
export function isAbout(change, workflow, run) {
  if (!change || !change.runs) return true;
  return change.runs.some((one) => one.run_id === run && one.workflow_id === workflow);
}

/** Return a function that calls `work` soon, once for many calls, never twice at a time. */
export function soon(work, ms = 120) {
  let timer = null;
  let busy = false;
  let again = false;
  const run = async () => {
    timer = null;
    busy = true;
    try { await work(); } finally { busy = false; }
    if (again) { again = false; ask(); }
  };
  const ask = () => {
    if (busy) again = true;
    else timer ??= setTimeout(run, ms);
  };
  return ask;
}
