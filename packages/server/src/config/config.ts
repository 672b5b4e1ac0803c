/** What `millrace.config.ts` has: the options of `createMillrace`, and those of the server that the command starts. */
import type { AccessOptions } from '../access/access.ts'
import type { Engine } from '../log/log.ts'
import type { MillraceOptions } from '../options.ts'

/** Every key, with its unit, default and other ways to set it: docs/guides/configuration.md, made from settings.ts. */
export interface MillraceConfig extends Omit<MillraceOptions, 'engine' | 'access' | 'configuration'> {
  /** Port to listen on; default 4600. 0 takes any free port. */
  readonly port?: number
  /** Address to listen on; default 127.0.0.1. Any other needs authentication, or `open`. */
  readonly host?: string
  /** Allows a server without authentication on an address that others can reach. */
  readonly open?: boolean
  /** `sqlite`, `memory`, an address with `redis:` or `nats:`, or an engine that you have made; default `sqlite`. */
  readonly engine?: string | Engine
  /** Folder of the engine sqlite; default `.millrace`. */
  readonly data?: string
  /** What a commit of the engine sqlite survives: a crash of the `process`, the default, or a power loss. */
  readonly durability?: 'process' | 'disk'
  /** How long events and unused sessions are kept; default 30 days, with the engine memory 1. */
  readonly keepDays?: number
  /** How long SIGTERM waits for runs to end; default 8. */
  readonly graceSeconds?: number
  /** Processes behind the port, over an engine that they share; default 1. */
  readonly workers?: number
  readonly access?: AccessOptions
  /** Whose JSON Web Tokens are accepted: one issuer, as most have. Each key that is set is accepted. */
  readonly jwt?: JwtConfig
}

export interface JwtConfig {
  /** Of HS256; at least 32 bytes. */
  readonly secret?: string
  /** In PEM. */
  readonly publicKey?: string
  /** Address with `https:`, or path, of a JSON Web Key Set. */
  readonly jwksUrl?: string
  /** The only `iss` that is accepted; default any. */
  readonly issuer?: string
  /** The `aud` that a token must have; default any. */
  readonly audience?: string
}

/** Returns its argument; an editor checks and completes it. */
export function defineConfig(config: MillraceConfig): MillraceConfig {
  return config
}
