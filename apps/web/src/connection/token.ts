/**
 * The token of this tab, and whether the server asks for another one. It is kept in sessionStorage: never in an address, in
 * no other tab, and only until this one is closed.
 */
import { connect, type MillraceError } from '@millrace/client'
import { useSyncExternalStore } from 'react'
import { tabStorage } from '../settings/storage.ts'

export type SignInReason = 'missing' | 'expired' | 'rejected'

const key = 'millrace.token'
const listeners = new Set<() => void>()
let reason: SignInReason | undefined
/** Where storage is forbidden, the token is kept as long as the page. */
let token = tabStorage.getItem(key) ?? undefined

export function currentToken(): string | undefined {
  return token
}

/** Begins again with another token, or with none: nothing on the page may be left of another user. */
export function signIn(next: string | undefined): void {
  token = next
  if (next === undefined) tabStorage.removeItem(key)
  else tabStorage.setItem(key, next)
  window.location.reload()
}

/** The server has refused a request with this error, and no other token helps. */
export function requireSignIn({ code }: MillraceError): void {
  // Those after the first say less: their requests were aborted when the page gave way to the sign-in.
  reason ??= code === 'unauthenticated' ? 'missing' : code === 'token_expired' ? 'expired' : 'rejected'
  for (const listener of listeners) listener()
}

/** Whether the server lets somebody with this token in. */
export async function checkToken(candidate: string): Promise<'accepted' | 'rejected' | 'unreachable'> {
  // No header can have other characters.
  if (!/^[\x21-\x7e]+$/.test(candidate)) return 'rejected'
  const client = connect('.', { token: () => candidate })
  try {
    await client.models()
    return 'accepted'
  } catch (error) {
    const { status = 0, retryable } = error as MillraceError
    return status === 401 ? 'rejected' : retryable ? 'unreachable' : 'accepted'
  } finally {
    client.close()
  }
}

/** Why the page cannot go on without another token; undefined where it can. */
export function useSignInReason(): SignInReason | undefined {
  return useSyncExternalStore(subscribe, () => reason)
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
