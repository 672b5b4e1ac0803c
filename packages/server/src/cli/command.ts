/** What a command is: its help, and what it does with its arguments. */
import type { Env } from '../config/environment.ts'

export interface CommandContext {
  readonly args: readonly string[]
  readonly env: Env
  /** The working directory. */
  readonly folder: string
}

export interface Command {
  readonly help: string
  /** Rejects with a ConfigError for wrong usage, which exits with 2, and with any other error for a failure: 1. */
  readonly run: (context: CommandContext) => Promise<void>
}
