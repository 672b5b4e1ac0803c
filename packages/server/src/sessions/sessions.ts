/** The parts of sessions, connected: conversations, the list, owners and share links. */
import type { Engine } from '../log/log.ts'
import { Catalog } from './catalog.ts'
import { type ChatsOptions, createChats } from './chats.ts'
import { createDecisions } from './decisions.ts'
import { createHistory, type HistoryOptions } from './history.ts'
import { createInstructions } from './instructions.ts'
import { createSessionOwners } from './owners.ts'
import { createQueue, type Queue, type QueueLimits } from './queue.ts'
import { createShareStore, Records } from './records.ts'
import { createTranscripts, type TranscriptsOptions } from './transcripts.ts'

export interface SessionsOptions
  extends Omit<ChatsOptions, 'transcripts' | 'records' | 'owners' | 'resolveModel' | 'admit' | 'onEnded'> {
  /** Without quarantine. */
  readonly store: Engine
  readonly engine: Engine
  readonly onPage: TranscriptsOptions['onPage']
  /** Whether sessions get owners without the host's own code. */
  readonly hasOwners: boolean
  readonly models: { readonly resolve: ChatsOptions['resolveModel'] }
  readonly uploads: HistoryOptions['uploads']
  readonly limits: QueueLimits & { readonly admitNamed: NonNullable<ChatsOptions['admit']> }
  readonly signal: AbortSignal
}

export type Sessions = ReturnType<typeof createSessions>

export function createSessions({ store, hasOwners, models, limits, ...options }: SessionsOptions) {
  const { onError } = options
  const transcripts = createTranscripts(options)
  const records = new Records(store)
  const catalog = new Catalog(store, onError)
  const owners = createSessionOwners({ store, records, catalog, hasOwners })
  const history = createHistory({ ...options, store, transcripts, records, catalog, owners })
  const { resolve: resolveModel } = models
  const chats = createChats({
    ...options,
    openLog: transcripts.open,
    transcripts,
    records,
    owners,
    resolveModel,
    admit: limits.admitNamed,
    onEnded: (session) => void queue.runEnded(session),
  })
  const context = { openLog: transcripts.open, records, owners }
  const decisions = createDecisions({ ...options, transcripts, chats, resolveModel })
  const { withdraw } = decisions
  const queue: Queue = createQueue({ ...options, ...context, transcripts, chats, limits, withdraw })
  const instructions = createInstructions(context)
  const shareStore = createShareStore(records)
  return { transcripts, records, owners, history, chats, queue, decisions, instructions, shareStore }
}
