/** What the leading tab does for the others: opens their streams, sends their commands, and forgets tabs that are gone. */
import type { Carrier } from '../carrier.ts'
import { toError } from '../http.ts'
import { deadConnection } from '../transports/socket-connection.ts'
import type { StreamHandlers } from '../transports/transport.ts'
import type { TabChannel } from './channel.ts'
import type { Locks } from './lock.ts'
import { type Answer, type News, type ToLeader, toPlain } from './messages.ts'

export interface ServiceOptions extends Carrier {
  readonly tab: string
  readonly locks: Locks
  /** The name of the lock that a tab holds as long as it lives. */
  readonly lockOf: (tab: string) => string
  /** Opens the channel on which a tab is spoken to. */
  readonly openChannel: (tab: string) => TabChannel<News | Answer>
}

export interface Service {
  receive(message: ToLeader): void
  close(): void
}

interface Client {
  readonly channel: ReturnType<ServiceOptions['openChannel']>
  readonly streams: Map<number, AbortController>
  readonly watch: AbortController
}

export function createService({ tab: leader, transports, sender, locks, lockOf, openChannel }: ServiceOptions): Service {
  const clients = new Map<string, Client>()

  return {
    receive(message) {
      const client = clients.get(message.tab) ?? welcome(message.tab)
      if (message.type === 'open') open(client, message)
      else if (message.type === 'command') void send(client, message)
      else {
        client.streams.get(message.stream)?.abort(message.isDead ? deadConnection : undefined)
        client.streams.delete(message.stream)
      }
    },
    close() {
      for (const tab of clients.keys()) forget(tab)
    },
  }

  function welcome(tab: string): Client {
    const client: Client = { channel: openChannel(tab), streams: new Map(), watch: new AbortController() }
    clients.set(tab, client)
    // Granted when the tab is gone, however it went.
    locks.request(lockOf(tab), { signal: client.watch.signal }, async () => forget(tab)).catch(() => {})
    return client
  }

  function forget(tab: string): void {
    const client = clients.get(tab)
    if (client === undefined) return
    clients.delete(tab)
    client.watch.abort()
    for (const abort of client.streams.values()) abort.abort()
    client.channel.close()
  }

  function open(client: Client, { stream, transport, source, from }: Extract<ToLeader, { type: 'open' }>): void {
    const abort = new AbortController()
    client.streams.set(stream, abort)
    let n = 0
    const post = (call: keyof StreamHandlers, ...args: readonly unknown[]) => {
      if (!abort.signal.aborted) client.channel.post({ type: 'news', leader, stream, n: ++n, call, args } as News)
    }
    transports[transport].open({
      source,
      from,
      signal: abort.signal,
      on: {
        opened: () => post('opened'),
        received: (clock) => post('received', clock),
        retry: (milliseconds) => post('retry', milliseconds),
        event: (name, id, data) => post('event', name, id, data),
        reached: (position) => post('reached', position),
        failed(error) {
          post('failed', toPlain(error))
          client.streams.delete(stream)
        },
      },
    })
  }

  async function send({ channel }: Client, { ref, command, isPipelined }: Extract<ToLeader, { type: 'command' }>): Promise<void> {
    const answer: Answer = await sender.send(command, isPipelined).then(
      (value) => ({ type: 'answer', leader, ref, value }),
      (error: unknown) => ({ type: 'answer', leader, ref, error: toPlain(toError(error)) }),
    )
    channel.post(answer)
  }
}
