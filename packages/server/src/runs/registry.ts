/**
 * Runs by their id over all nodes: each has a small log, in which the node that takes it says so before anything
 * else. So one id is one run, whichever nodes it is asked of, and any node can find it, wait for it and stop it.
 */
import { formatPosition, type Json, MillraceError, type Position, type SessionEvents } from '@millrace/protocol'
import type { Engine, LogEvent } from '../log/log.ts'
import type { Nodes } from './nodes.ts'
import type { Run, StandingEnd } from './run.ts'

/** What was asked, as the log of the run keeps it. */
export interface Claim extends Pick<Run, 'session' | 'query' | 'lanes'> {
  /** Null for the default model. */
  readonly asked: readonly string[] | null
  /** Absent for a question. */
  readonly continues?: string
  readonly node: string
}

export interface Registry {
  /** Undefined where the id is the caller's to start; else the run that another has started with it. */
  claim(id: string, claim: Claim): Promise<Run | undefined>
  /** The run's start stands in its session's log. */
  started(id: string, start: Position): Promise<void>
  find(id: string): Promise<Run | undefined>
  /** Lets the id go: it may be used again. */
  forget(id: string): void
}

/** How long a node may take from its claim to the start in the log. */
const startMsMax = 10_000
const startPollMs = 200
/** A bell that was lost costs no more than this. */
const followPollMs = 5000

interface Known {
  readonly claim: Claim
  readonly start: Position | undefined
}

export function createRegistry({ engine, nodes }: { readonly engine: Engine; readonly nodes: Nodes }): Registry {
  return {
    async claim(id, claim) {
      for (let after = ''; ; ) {
        const { duplicate } = await engine.append(logOf(id), [{ type: 'claimed', data: claim as unknown as Json }], {
          key: `claimed ${after}`,
        })
        if (!duplicate) return undefined
        const known = await look(id)
        // The log was let go between the two calls.
        if (known === undefined) continue
        if (known.start !== undefined) return toRun(id, known.claim, known.start)
        // Whoever had it is gone, and nothing stands in the session's log: the next one may have it.
        after = known.claim.node
      }
    },
    async started(id, { epoch, offset }) {
      await engine.append(logOf(id), [{ type: 'started', data: { epoch, offset } }])
    },
    async find(id) {
      const known = await look(id)
      return known?.start === undefined ? undefined : toRun(id, known.claim, known.start)
    },
    forget: (id) => void engine.delete(logOf(id)).catch(() => {}),
  }

  /** Waits for a start that is on its way: without one, the node that claimed the run is gone. */
  async function look(id: string): Promise<Known | undefined> {
    const deadline = performance.now() + startMsMax
    const rung = ringable()
    const unwatch = engine.watch(logOf(id), rung.ring)
    try {
      for (;;) {
        const state = await engine.inspect(logOf(id))
        if (state === undefined) return undefined
        const { events } = await engine.read(logOf(id), state.start)
        const claim = events.findLast(({ type }) => type === 'claimed')?.data as unknown as Claim
        const last = events.at(-1)
        if (last?.type === 'started') return { claim, start: last.data as unknown as Position }
        if (await nodes.isGone(claim.node)) return { claim, start: undefined }
        if (performance.now() > deadline) throw new MillraceError('engine_failed')
        await rung.wait(startPollMs)
      }
    } finally {
      unwatch()
    }
  }

  function toRun(id: string, { session, query, asked, continues, lanes, node }: Claim, start: Position): Run {
    let ended: Promise<StandingEnd> | undefined
    return {
      id,
      session,
      query,
      asked: asked ?? undefined,
      continues,
      lanes,
      start,
      get ended() {
        ended ??= follow(id, session, { start, node })
        return ended
      },
      end: undefined,
      // Whoever waits for the end says it again.
      stop: () => void nodes.send(node, { type: 'stop', run: id }).catch(() => {}),
    }
  }

  async function follow(id: string, log: string, { start, node }: { start: Position; node: string }): Promise<StandingEnd> {
    const rung = ringable()
    const unwatch = engine.watch(log, rung.ring)
    // Perhaps nobody else here reads it, and its node is gone already.
    if (node !== nodes.id) nodes.onceGone(node, log, id)
    try {
      for (let position = start; ; ) {
        const page = await engine.read(log, position)
        const end = page.events.find((event) => isEndOf(event, id))
        if (end !== undefined) {
          nodes.ended(id)
          const { run: _run, ...outcome } = end.data as unknown as SessionEvents['stream_end']
          return { ...outcome, position: formatPosition({ epoch: start.epoch, offset: end.offset }, log) }
        }
        position = page.position
        if (position.offset === page.head.offset) await rung.wait(followPollMs)
      }
    } finally {
      unwatch()
    }
  }
}

const logOf = (id: string): string => `run/${id}`

function isEndOf({ type, data }: LogEvent, run: string): boolean {
  return type === 'stream_end' && (data as { run: string }).run === run
}

/** A bell that can be waited for; one that rings early is not missed. */
function ringable() {
  let { promise, resolve } = Promise.withResolvers<void>()
  return {
    ring: (): void => resolve(),
    async wait(mostMs: number): Promise<void> {
      const timer = setTimeout(resolve, mostMs)
      await promise
      clearTimeout(timer)
      ;({ promise, resolve } = Promise.withResolvers<void>())
    },
  }
}
