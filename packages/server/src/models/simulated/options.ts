/** The names of simulated models: `sim:count?n=500&tps=100`. The name contains everything that a simulation does. */
import { MillraceError } from '@millrace/protocol'

/** Default and allowed range of every numeric option. */
const numbers = {
  /** The number of tokens. */
  n: { default: 200, min: 0, max: 1_000_000 },
  /** Tokens a second; 0 is as fast as possible. */
  tps: { default: 50, min: 0, max: 100_000 },
  /** Milliseconds before the first token. */
  ttft: { default: 0, min: 0, max: 600_000 },
  /** How far a token may stray from its time, as a share of the interval. */
  jitter: { default: 0, min: 0, max: 1 },
  /** Seed of everything random. */
  seed: { default: 1, min: 0, max: 2 ** 32 - 1 },
  /** Tokens before the fault, or the file. */
  after: { default: 20, min: 0, max: 1_000_000 },
  /** Tokens of reasoning before the answer. */
  think: { default: 20, min: 0, max: 1_000_000 },
  /** Calls of the tool, side by side. */
  calls: { default: 1, min: 1, max: 8 },
  /** 1: somebody decides before the tool is executed; a client executes it; it fails. */
  approve: { default: 0, min: 0, max: 1 },
  client: { default: 0, min: 0, max: 1 },
  fails: { default: 0, min: 0, max: 1 },
  /** Milliseconds that the tool takes. */
  ms: { default: 0, min: 0, max: 600_000 },
} as const

const words = {
  /** Of the tool. */
  name: ['weather', 'mail'],
  lang: ['en', 'zh'],
  /** Of echo: the text of the last message, or what it was given, as JSON. */
  show: ['text', 'messages', 'request'],
  code: ['model_failed', 'model_rate_limited', 'model_rejected', 'model_unauthorized'],
} as const

const common = ['tps', 'ttft', 'jitter', 'seed'] as const

/** What each kind accepts in addition to the common options. */
const kinds = {
  count: ['n'],
  echo: ['show'],
  lorem: ['n', 'lang'],
  think: ['n', 'think'],
  fail: ['after', 'code'],
  hang: ['after'],
  garbage: ['after'],
  file: ['after'],
  tool: ['name', 'calls', 'approve', 'client', 'fails', 'ms'],
} as const satisfies Record<string, readonly (keyof typeof numbers | keyof typeof words)[]>

export type SimulationKind = keyof typeof kinds

export type SimulationOptions = { readonly kind: SimulationKind } & Readonly<Record<keyof typeof numbers, number>> & {
    readonly lang: (typeof words.lang)[number]
    readonly name: (typeof words.name)[number]
    readonly code: (typeof words.code)[number]
    readonly show: (typeof words.show)[number]
  }

/** Throws `model_not_found` for an unknown kind, and for an option that is unknown or out of range, with what is allowed. */
export function parseSimulation(name: string): SimulationOptions {
  const [, kind = '', query = ''] = /^sim:([^?]*)\??(.*)$/s.exec(name) ?? []
  if (!Object.hasOwn(kinds, kind))
    throw refused(
      `sim:${kind} is no simulated model; there are ${Object.keys(kinds)
        .map((each) => `sim:${each}`)
        .join(', ')}.`,
    )
  const allowed: readonly string[] = [...common, ...kinds[kind as SimulationKind]]
  const options: Record<string, number | string> = { kind }
  for (const [option, [first]] of Object.entries(words)) options[option] = first
  for (const [option, range] of Object.entries(numbers)) options[option] = range.default
  for (const [option, value] of new URLSearchParams(query)) {
    if (!allowed.includes(option)) throw refused(`sim:${kind} has no option ${option}; it takes ${allowed.join(', ')}.`)
    options[option] = option in words ? word(option as keyof typeof words, value) : number(option as keyof typeof numbers, value)
  }
  return options as unknown as SimulationOptions
}

function number(option: keyof typeof numbers, text: string): number {
  const { min, max } = numbers[option]
  const value = Number(text)
  const whole = option === 'jitter' || Number.isInteger(value)
  if (text.trim() === '' || !whole || !(value >= min && value <= max)) {
    throw refused(`${option} takes a number from ${min} to ${max}, not ${JSON.stringify(text.slice(0, 20))}.`)
  }
  return value
}

function word(option: keyof typeof words, text: string): string {
  if (!(words[option] as readonly string[]).includes(text)) throw refused(`${option} takes ${words[option].join(' or ')}.`)
  return text
}

function refused(message: string): MillraceError {
  return new MillraceError('model_not_found', { message })
}
