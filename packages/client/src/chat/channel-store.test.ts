import { describe, expect, it } from 'vitest'
import { channelStoreOf } from './channel-store.ts'

/** A fake channel: the test emits its events to the current loop, which continues where the last one ended. */
function createChannel() {
  const said: number[] = []
  let handed = 0
  let failure: Error | undefined
  let isLeft = false
  let wake = () => {}
  return {
    loops: 0,
    say(...numbers: number[]) {
      said.push(...numbers)
      wake()
    },
    fail(error: Error) {
      failure = error
      wake()
    },
    leave() {
      isLeft = true
      wake()
    },
    async *events({ signal }: { readonly signal?: AbortSignal } = {}) {
      this.loops++
      signal?.addEventListener('abort', () => wake())
      while (signal?.aborted !== true && !isLeft) {
        const [next] = said.splice(0, 1)
        if (next !== undefined) yield { id: `${++handed}`, next }
        else if (failure !== undefined) throw failure
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    },
  }
}

const numbers = (store: ReturnType<typeof channelStoreOf<{ next: number }>>) => store.current.events.map(({ next }) => next)

describe('the events of a channel', () => {
  it('are the last ones that somebody wants, the oldest first', async () => {
    const channel = createChannel()
    const store = channelStoreOf(channel)
    store.keep(3)
    store.keep(2)
    store.subscribe(() => {})
    channel.say(...Array.from({ length: 50 }, (_, index) => index))
    await expect.poll(() => numbers(store)).toEqual([47, 48, 49])
    expect(channelStoreOf(channel)).toBe(store)
  })

  it('go on where they were when nobody looked for a while', async () => {
    const channel = createChannel()
    const store = channelStoreOf(channel)
    store.keep(10)
    const leave = store.subscribe(() => {})
    channel.say(1, 2)
    await expect.poll(() => numbers(store)).toEqual([1, 2])
    leave()
    await Promise.resolve()
    channel.say(3)
    store.subscribe(() => {})
    await expect.poll(() => numbers(store)).toEqual([1, 2, 3])
    expect(channel.loops).toBe(2)
  })

  it('stay when the channel is closed, with the reason', async () => {
    const channel = createChannel()
    const store = channelStoreOf(channel)
    store.keep(10)
    store.subscribe(() => {})
    channel.say(1)
    const error = new Error('gone')
    channel.fail(error)
    await expect.poll(() => store.current.status).toBe('closed')
    expect(store.current).toMatchObject({ events: [{ next: 1 }], error })
  })

  it('end without a reason when the channel was left', async () => {
    const channel = createChannel()
    const store = channelStoreOf(channel)
    store.subscribe(() => {})
    channel.leave()
    await expect.poll(() => store.current).toMatchObject({ status: 'closed', error: undefined })
  })
})
