/** Content negotiation of routes that can stream a run or only start it. */

/**
 * True where `Accept` names JSON and does not allow a stream. `*` allows one: axios, Angular and jQuery send it after
 * `application/json` with every request.
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
