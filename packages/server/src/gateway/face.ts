/**
 * A face: the addresses at which clients of another product find what they expect. `server.ts` introduces each; the gateway
 * knows none by name.
 */
import type { MillraceError } from '@millrace/protocol'
import type { Route } from './route.ts'
import type { RoutesOptions } from './routes.ts'

export interface Face {
  /** What all its addresses begin with, such as `/v1` for `/v1/models`. No other face has it. */
  readonly prefix: string
  readonly routes: readonly Route[]
  /** An error as its clients expect it, at every address that begins with `prefix`. Default: Millrace's own. */
  readonly formatError?: (error: MillraceError) => FaceError
}

export interface FaceError {
  /** Default that of the error's code. */
  readonly status?: number
  readonly body: string
  /** Beside, or in place of, those of Millrace's errors, such as `content-type` (default JSON) and `retry-after`. */
  readonly headers?: Readonly<Record<string, string>>
}

/** Whether an address is below one of these. */
export function isBelow(prefixes: readonly string[], path: string): boolean {
  return prefixes.some((prefix) => path.startsWith(prefix) && /^([/?]|$)/.test(path.slice(prefix.length)))
}

/** The parts of the server that a face uses. */
export type FaceContext = RoutesOptions

export type CreateFace = (context: FaceContext) => Face
