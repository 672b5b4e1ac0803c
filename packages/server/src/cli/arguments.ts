/** Arguments of a command: parsed by its options, with the nearest name for one that does not exist. */
import { type ParseArgsOptionsConfig, parseArgs } from 'node:util'
import { ConfigError } from '../config/config-error.ts'
import { suggest } from '../config/nearest.ts'

export type Options = ParseArgsOptionsConfig

export interface Arguments<T extends Options> {
  readonly values: ReturnType<typeof parseArgs<{ options: T }>>['values']
  readonly positionals: readonly string[]
}

/** Throws a ConfigError. `explain` says more about an option that does not exist. */
export function parseArguments<T extends Options>(
  args: readonly string[],
  options: T,
  explain: (unknown: string) => string | undefined = () => undefined,
): Arguments<T> {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const [, unknown] = /'(-[^' ]+)/.exec(message) ?? []
    if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION' || unknown === undefined) throw new ConfigError(message, { cause })
    const names = Object.keys(options).map((name) => `--${name}`)
    const more = explain(unknown)
    const rest = more === undefined ? `.${suggest(unknown, names)}` : `; ${more}.`
    throw new ConfigError(`There is no option ${unknown}${rest}`, { cause })
  }
}
