// Calls the server: every answer that is an error becomes an `ApiError` with one readable line.

export class ApiError extends Error {
  constructor(status, code, message, retryAfter) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }
}

const OFFLINE = "The server does not answer. It may be starting again; try once more in a moment.";

/** The JSON of an answer; `body` is a form or plain data. */
export async function call(method, path, body) {
  const form = body instanceof FormData;
  const headers = body === undefined || form ? {} : { "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body === undefined || form ? body : JSON.stringify(body) });
  } catch {
    throw new ApiError(0, "offline", OFFLINE);
  }
  if (answer.status === 401) location.reload(); // the token is asked for again
  const data = answer.status === 204 ? null : await answer.json().catch(() => null);
  if (answer.ok) return data;
  const retryAfter = Number(answer.headers.get("Retry-After")) || 0;
  throw new ApiError(answer.status, data?.code ?? "", data?.message ?? `${answer.status} ${answer.statusText}`, retryAfter);
}

const MIN_WAIT = 3; // seconds before a full queue is asked again

/** Run a call, again and again as long as the queue is full. */
export async function patiently(action, onwait = () => {}) {
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (error.status !== 429) throw error;
      onwait();
      await new Promise((done) => setTimeout(done, 1000 * Math.max(error.retryAfter, MIN_WAIT)));
    }
  }
}

export const jobPath = (id, rest = "") => `/api/jobs/${id}${rest}`;

/** Follow the events of all jobs; the browser reconnects by itself, and says which event it had last. */
export function follow(handlers, { onopen, onlost }) {
  const source = new EventSource("/api/events");
  for (const [kind, handler] of Object.entries(handlers)) {
    source.addEventListener(kind, (event) => handler(JSON.parse(event.data)));
  }
  source.onopen = onopen;
  source.onerror = () => {
    onlost();
    if (source.readyState === EventSource.CLOSED) setTimeout(() => follow(handlers, { onopen, onlost }), 2000);
  };
}
