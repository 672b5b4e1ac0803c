/** What a client asks for by `Accept`, where the same address can stream or only start. */

/**
 * JSON is asked for by name, and a stream is not wanted at all. `*` for both wants one: it stands behind `application/json` in what
 * axios, Angular and jQuery send with every request.
 */
export function wantsJson(accept: string): boolean {
  const ranges = accept
    .toLowerCase()
    .split(',')
    .filter((range) => !/;\s*q=0(\.0*)?\s*(;|$)/.test(range))
    .map((range) => range.split(';', 1)[0]?.trim())
  const has = (...names: string[]) => names.some((name) => ranges.includes(name))
  return has('application/json', 'application/*') && !has('text/event-stream', 'text/*', '*/*')
}
