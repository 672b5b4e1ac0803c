import { listenToHost } from './host.ts'

/** Until the time is over, the host says that something has changed, or the signal is aborted. */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms)
    const stopListening = listenToHost((news) => news !== 'offline' && done())
    signal?.addEventListener('abort', done)

    function done(): void {
      clearTimeout(timer)
      stopListening()
      signal?.removeEventListener('abort', done)
      resolve()
    }
  })
}
