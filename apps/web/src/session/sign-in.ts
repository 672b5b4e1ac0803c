/**
 * The token of this tab, and whether the server asks for another one. It is kept in sessionStorage: never in an address, in
 * no other tab, and only until this one is closed.
 */
import { useSyncExternalStore } from 'react'

export type SignInReason = 'missing' | 'expired' | 'rejected'

const key = 'millrace.token'
const listeners = new Set<() => void>()
let reason: SignInReason | undefined
/** Where storage is forbidden, the token is kept as long as the page. */
let token = read()

export function currentToken(): string | undefined {
  return token
}

/** Begins again with another token, or with none: nothing on the page may be left of another user. */
export function signIn(next: string | undefined): void {
  token = next
  try {
    if (next === undefined) window.sessionStorage.removeItem(key)
    else window.sessionStorage.setItem(key, next)
  } catch {
    // Forbidden: after the reload the page asks again.
  }
  window.location.reload()
}

/** The server has answered 401, with this code. */
export function requireSignIn(code: string): void {
  reason = code === 'unauthenticated' ? 'missing' : code === 'token_expired' ? 'expired' : 'rejected'
  for (const listener of listeners) listener()
}

/** Why the page cannot go on without another token; undefined where it can. */
export function useSignInReason(): SignInReason | undefined {
  return useSyncExternalStore(subscribe, () => reason)
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

function read(): string | undefined {
  try {
    return window.sessionStorage.getItem(key) ?? undefined
  } catch {
    return undefined
  }
}
