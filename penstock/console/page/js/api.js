// The console's API. The session is a cookie that scripts cannot read; changing requests are JSON, which no foreign page's form can send.

/** What the server refused: its status, what it said, and a list of what is wrong with the input, if it is that. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem?.detail ?? problem?.title ?? `The console answered ${status}.`);
    this.status = status;
    this.problem = problem ?? {};
    this.errors = problem?.errors ?? [];
  }
}

let onSignedOut = () => {};

/** Say what is to happen when a session is no longer valid. */
export function whenSignedOut(call) {
  onSignedOut = call;
}

async function call(method, path, body, headers = {}) {
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers: { Accept: "application/json", ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
    });
  } catch {
    throw new Refusal(0, { detail: "The console does not answer: is `penstock console` still running?" });
  }
  const text = await answer.text();
  const said = text && answer.headers.get("content-type")?.includes("json") ? JSON.parse(text) : null; // a 204 has no text
  if (answer.ok) return said;
  if (answer.status === 401 && !path.endsWith("/session")) onSignedOut();
  throw new Refusal(answer.status, said ?? { detail: text.slice(0, 300) || undefined });
}

export const get = (path, query) => call("GET", path + asQuery(query));
export const post = (path, body, headers) => call("POST", path, body ?? {}, headers);
export const remove = (path) => call("DELETE", path);

/** Return `?a=b` of what is set. */
export function asQuery(query = {}) {
  const set = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return set.length ? `?${new URLSearchParams(set)}` : "";
}

/** Return a path of URL-safe parts. */
export function path(...parts) {
  return parts.map((part) => encodeURIComponent(part)).join("/");
}
