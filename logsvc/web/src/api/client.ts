import { noteDate } from "./clock.ts";

/** How far an action is that is still under way: jobs whose outcome is known, of so many. */
export interface Progress {
  settled: number;
  planned: number;
}

/** What else a refusal says, where the server knows. */
interface Said {
  /** For programs: "busy"; else empty. */
  word: string;
  /** What would help; else empty. */
  mend: string;
  progress: Progress | null;
}

/** A request that did not give us its answer, in words that can be shown. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** HTTP status; 0 when there was no answer at all. */
  readonly status: number;
  /** What Retry-After asked for; null when it did not. */
  readonly retryAfterSeconds: number | null;
  readonly said: Said;

  constructor(
    status: number,
    message: string,
    retryAfterSeconds: number | null = null,
    said: Said = { word: "", mend: "", progress: null },
  ) {
    super(message);
    this.status = status;
    this.retryAfterSeconds = retryAfterSeconds;
    this.said = said;
  }

  /** Whether the same question would be refused again. */
  get isRefusal(): boolean {
    return this.status === 400 || this.status === 422;
  }
}

const RETRY_MS = 5_000;

/** When to ask again by itself after an error: what is away comes back. false: the answer would be the same. */
export function retryMs(error: unknown): number | false {
  if (!(error instanceof ApiError)) return false;
  if (error.status !== 0 && error.status < 500 && error.status !== 429) return false;
  return error.retryAfterSeconds === null ? RETRY_MS : error.retryAfterSeconds * 1000;
}

/** A request never outlives this: a hung proxy must not look like a quiet queue. */
const DEADLINE_MS = 20_000;

/** Query parameters; one with several values is repeated. */
export type Params = Readonly<Record<string, string | readonly string[]>>;

/** The address of an API path under the page's base, with empty parameters left out. */
export function apiUrl(path: string, params: Params = {}, base = document.baseURI): URL {
  const url = new URL(`api/v1/${path}`, base);
  for (const [key, values] of Object.entries(params)) {
    for (const value of [values].flat()) if (value !== "") url.searchParams.append(key, value);
  }
  return url;
}

/** GET a JSON answer. Throws ApiError, or the signal's AbortError when the caller gave up. */
export async function getJson<Answer>(url: URL, signal?: AbortSignal): Promise<Answer> {
  return answerOf<Answer>(url, {}, signal);
}

/** A write takes longer: it goes through the bot and the bridge. */
const WRITE_DEADLINE_MS = 60_000;

/** Send JSON and read the JSON answer. csrfToken: of `me`; null where none is needed. Throws ApiError. */
export async function sendJson<Answer>(
  method: "POST" | "PUT" | "PATCH" | "DELETE",
  url: URL,
  body: unknown,
  csrfToken: string | null,
): Promise<Answer> {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (csrfToken !== null) headers["x-csrf-token"] = csrfToken;
  const content = body === undefined ? {} : { body: JSON.stringify(body) };
  return answerOf<Answer>(url, { method, headers, ...content }, undefined, WRITE_DEADLINE_MS);
}

async function answerOf<Answer>(
  url: URL,
  init: RequestInit,
  signal?: AbortSignal,
  deadlineMs = DEADLINE_MS,
): Promise<Answer> {
  const deadline = AbortSignal.timeout(deadlineMs);
  /** Wait for a part of the answer; onError: what is said of it where it does not come. */
  const part = async <Part>(coming: Promise<Part>, onError: string): Promise<Part> => {
    try {
      return await coming;
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, deadline.aborted ? "Tocsin took too long to answer" : onError);
    }
  };
  const sentAt = Date.now();
  const asked = fetch(url, {
    ...init,
    signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    headers: { accept: "application/json", ...init.headers },
  });
  const response = await part(asked, "Tocsin could not be reached");
  noteDate(response.headers.get("date"), sentAt, Date.now());
  if (!response.ok) throw await refusal(response);
  if (response.status === 204) return undefined as Answer;
  // The page of a proxy that wants a login, and says that all is well; or the connection broke off.
  return await part(
    response.json() as Promise<Answer>,
    "What answered was not Tocsin: a proxy on the way may want you to log in, so load this page again",
  );
}

async function refusal(response: Response): Promise<ApiError> {
  const retryAfter = Number(response.headers.get("retry-after"));
  const seconds = Number.isFinite(retryAfter) && retryAfter > 0 ? retryAfter : null;
  const body: unknown = await response.json().catch(() => null);
  const detail = textOf(body, "detail") || sentenceFor(response.status);
  const progress = valueOf(body, "progress") as Progress | undefined;
  const said = { word: textOf(body, "error"), mend: textOf(body, "mend"), progress: progress ?? null };
  return new ApiError(response.status, detail, seconds, said);
}

function valueOf(body: unknown, name: string): unknown {
  return typeof body === "object" && body !== null ? Reflect.get(body, name) : undefined;
}

function textOf(body: unknown, name: string): string {
  const text = valueOf(body, name);
  return typeof text === "string" ? text : "";
}

function sentenceFor(status: number): string {
  if (status === 401) return "Please log in again";
  if (status === 403) return "Your role does not allow this";
  if (status === 429) return "Too many requests; slowing down";
  if (status === 503) return "History is not available just now";
  return `Tocsin answered with status ${status}`;
}
