/** A line of JSON as text for people: time, level, message, and the other fields as `name=value`. */

const levels: Readonly<Record<string, string>> = { error: '31', warn: '33', info: '32', debug: '90' }

export function formatLine(line: string, hasColors = false): string {
  const { time, level, msg, stack, ...fields } = JSON.parse(line) as Record<string, unknown>
  const paint = (text: string, color: string) => (hasColors ? `\x1b[${color}m${text}\x1b[0m` : text)
  const rest = Object.entries(fields).map(([name, value]) => `${paint(`${name}=`, '90')}${format(value)}`)
  const head = [
    String(time).slice(11, 23),
    paint(String(level).toUpperCase().padEnd(5), levels[String(level)] ?? '0'),
    msg,
    ...rest,
  ]
  return [head.join(' '), ...(typeof stack === 'string' ? [stack] : []), ''].join('\n')
}

/** Without quotes where no space makes it ambiguous. */
function format(value: unknown): string {
  return typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
}
