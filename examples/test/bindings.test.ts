/** The bindings of Vue, Svelte and Solid on a server, and what they show of a run, a channel and a connection. */
import { type Client, type ConnectionStatus, connect, type Transcript } from '@millrace/client'
import type { ChannelEvents, Chat, ChatRun } from '@millrace/client/chat'
import * as solid from '@millrace/client/solid'
import * as svelte from '@millrace/client/svelte'
import * as vue from '@millrace/client/vue'
import { createMillrace } from 'millrace'
import { createComponent } from 'solid-js'
import { renderToString as renderSolid } from 'solid-js/web'
import { render as renderSvelte } from 'svelte/server'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createSSRApp, effectScope, h, nextTick, ref } from 'vue'
import { renderToString as renderVue } from 'vue/server-renderer'

const transcript: Transcript = {
  id: 's',
  position: 'k3f9a2xq-3',
  complete: true,
  runs: [
    {
      run: 'one',
      query: 'q',
      startedAt: 1,
      status: 'completed',
      lanes: [{ lane: 'a', model: 'a', text: 'said', reasoning: '', data: [], files: [], parts: [], status: 'completed' }],
    },
  ],
}

/** Whatever is asked for is an error. */
function connectNowhere(): { readonly client: Client; readonly requests: unknown[] } {
  const requests: unknown[] = []
  const fetch = (request: unknown) => {
    requests.push(request)
    return Promise.reject(new TypeError('not from here'))
  }
  const client = connect('http://127.0.0.1:1', { fetch })
  onTestFinished(() => client.close())
  return { client, requests }
}

function show({ runs }: Chat, { state }: ConnectionStatus, run: ChatRun | undefined, { status }: ChannelEvents<unknown>): string {
  return [runs[0]?.lanes[0]?.text, state, typeof run, status].join(' ')
}

const renderers: Record<string, (client: Client) => Promise<string>> = {
  vue: (client) =>
    renderVue(
      createSSRApp({
        setup() {
          const chat = vue.useChat(client.session('s'), { transcript })
          const connection = vue.useConnection(client)
          const run = vue.useRun(client.session('s'), 'one')
          const { value } = vue.useChannel(client.channel('c'))
          return () => h('p', show(chat.value, connection.value, run.value, value))
        },
      }),
    ),
  solid: async (client) =>
    renderSolid(() =>
      createComponent(() => {
        const chat = solid.useChat(client.session('s'), { transcript })
        const connection = solid.useConnection(client)
        const run = solid.useRun(client.session('s'), 'one')
        const channel = solid.useChannel(client.channel('c'))
        return show(chat(), connection(), run(), channel())
      }, {}),
    ),
  svelte: async (client) =>
    renderSvelte(
      ((renderer: { push(html: string): void }) => {
        const chat = svelte.useChat(client.session('s'), { transcript })
        const connection = svelte.useConnection(client)
        const run = svelte.useRun(client.session('s'), 'one')
        const channel = svelte.useChannel(client.channel('c'))
        renderer.push(show(chat.current, connection.current, run.current, channel.current))
      }) as never,
      { props: {} as never },
    ).body,
}

describe.each(Object.entries(renderers))('%s on a server', (_, render) => {
  it('renders the transcript that it was given, and opens nothing', async () => {
    const { client, requests } = connectNowhere()
    expect(await render(client)).toContain('said idle undefined live')
    expect({ requests, isRead: client.session('s').isBeingRead }).toEqual({ requests: [], isRead: false })
  })
})

async function startServer() {
  const millrace = createMillrace({ model: 'sim:count?n=3&tps=0' })
  onTestFinished(() => millrace.close())
  const { url } = await millrace.listen({ port: 0 })
  const client = connect(url)
  onTestFinished(() => client.close())
  return { millrace, client }
}

describe('vue', () => {
  it('follows what a ref names, and leaves it with its scope', async () => {
    const { client } = await startServer()
    const [one, two] = [client.session(), client.session()] as const
    await one.run({ query: 'one' }).done
    await two.run({ query: 'two' }).done
    const session = ref(one.id)
    const scope = effectScope()
    const { chat, channel } = scope.run(() => ({
      chat: vue.useChat(() => client.session(session.value)),
      channel: vue.useChannel(() => client.channel('c'), { eventsMax: 1 }),
    })) as { chat: ReturnType<typeof vue.useChat>; channel: ReturnType<typeof vue.useChannel> }
    const run = scope.run(() => vue.useRun(one, 'none')) as ReturnType<typeof vue.useRun>
    await expect.poll(() => chat.value.runs.map(({ query }) => query)).toEqual(['one'])
    session.value = two.id
    await nextTick()
    await expect.poll(() => chat.value.runs.map(({ query }) => query)).toEqual(['two'])
    expect(run.value).toBeUndefined()
    await expect.poll(() => client.connection.current.state).toBe('live')
    await client.channel('c').publish(1)
    await client.channel('c').publish(2)
    await expect.poll(() => channel.value.events).toMatchObject([{ data: 2 }])
    scope.stop()
    await expect.poll(() => [one, two].map(({ isBeingRead }) => isBeingRead)).toEqual([false, false])
    expect(() => effectScope().run(() => vue.useChannel(client.channel('c'), { eventsMax: 0 }))).toThrow(RangeError)
  })
})
