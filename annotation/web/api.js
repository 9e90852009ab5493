// Talks to the server: session, request token, JSON in and out, and what an error means for a retry.

export class ApiError extends Error {
  // kind: offline (no answer, try again) | busy (try again later) | signed-out | forbidden | refused (will not pass as it is)
  constructor(kind, message, { status = 0, hint = "", retryAfter = 0 } = {}) {
    super(message);
    this.name = "ApiError";
    this.kind = kind;
    this.status = status;
    this.hint = hint;
    this.retryAfter = retryAfter;   // seconds, 0: not said
  }

  get retry() { return this.kind === "offline" || this.kind === "busy"; }
}

export function kindOf(status) {
  if (status === 401) return "signed-out";
  if (status === 403) return "forbidden";
  if (status === 408 || status === 425 || status === 429 || status >= 500) return "busy";
  return "refused";
}

let current = null;   // the last answer of GET /api/session

async function send(method, path, body, { keepalive = false, timeout = 20000 } = {}) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && current) headers["X-Dabench"] = current.csrf;
  let answer;
  let text;
  try {
    answer = await fetch(path, {
      method, headers, keepalive, credentials: "same-origin", cache: "no-store", redirect: "error",
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(timeout),
    });
    text = await answer.text();
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    throw new ApiError("offline", late ? "The server does not answer." : "The server cannot be reached.",
      { hint: "Check the connection; what you did is kept here." });
  }
  let data = null;
  try { data = text ? JSON.parse(text) : null; } catch { data = null; }
  if (answer.ok && (data !== null || text === "")) return data;
  if (answer.ok) throw new ApiError("busy", "The server sent something that is not JSON.", { status: answer.status });
  throw new ApiError(kindOf(answer.status), String(data?.error ?? `The server refused (${answer.status}).`), {
    status: answer.status, hint: String(data?.hint ?? ""), retryAfter: Number(answer.headers.get("Retry-After")) || 0,
  });
}

async function change(method, path, body, options) {
  try {
    return await send(method, path, body ?? {}, options);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 403 || !current || options?.keepalive) throw error;
    // A sign-in in another tab gives a new request token: fetch it, and try once more if it differs.
    const before = current;
    await session({ fresh: true });
    if (current.csrf === before.csrf) throw error;
    if (current.person.alias !== before.person.alias) {
      current = before;   // what this page holds belongs to somebody else
      throw new ApiError("signed-out", "Another person has signed in here.", { status: 401, hint: "Sign in again to go on." });
    }
    return send(method, path, body ?? {}, options);
  }
}

export const get = (path, options) => send("GET", path, undefined, options);
export const post = (path, body, options) => change("POST", path, body, options);
export const put = (path, body, options) => change("PUT", path, body, options);
export const patch = (path, body, options) => change("PATCH", path, body, options);

// {person, study, csrf, build, projects}; fetched once, again with fresh.
export async function session({ fresh = false } = {}) {
  if (fresh || !current) current = await get("/api/session");
  return current;
}

// Exchanges a token for a session cookie; the token is never stored.
export async function login(token) {
  const answer = await send("POST", "/api/login", { token });
  current = null;
  return answer;
}

export async function logout() {
  await session();
  await post("/api/logout");
  current = null;
}

// To the sign-in page and back to where the person was.
export function toLogin() {
  const back = location.pathname + location.search;
  location.assign(back === "/" ? "/login" : `/login?back=${encodeURIComponent(back)}`);
}

// Where to go after a sign-in: a path of this server only.
export function wayBack() {
  const back = new URLSearchParams(location.search).get("back") ?? "/";
  return /^\/(?![/\\])[\w\-/?=&%.]*$/.test(back) ? back : "/";
}

// A random version 4 UUID; crypto.randomUUID exists only on https and loopback.
export function uuid() {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
