/** `auto`: the best model that needs no configuration: a key in the environment, then a local server, then the guide. */
import { fromLangChain, type LangChainModel } from './langchain/index.ts'
import { canImport, packagesOf, providers } from './langchain/provider.ts'
import type { Model } from './model.ts'

export interface AutoOptions {
  readonly env: NodeJS.ProcessEnv
  /** Opens a model by its full name. */
  readonly open: (name: string) => Promise<Model>
  /** Where to look for local servers; default their standard ports. */
  readonly servers?: readonly LocalServer[]
  readonly isInstalled?: (name: string) => boolean
  /** A local server that does not respond in this time counts as absent. Default 300. */
  readonly answerMsMax?: number
}

export interface LocalServer {
  /** For people; in lower case the first part of the model's name. */
  readonly name: string
  /** Base URL of OpenAI's protocol, with `/v1` below it. */
  readonly url: string
}

export interface Auto {
  readonly model: Model
  /** Why this model, for people. */
  readonly reason: string
}

/**
 * A provider with a key, and its default model: fast, current, not the most expensive. Names that the provider updates
 * itself come first: most others live for a year. Looked up in November 2026.
 */
const keyed: readonly [provider: string, model: string][] = [
  ['openai', 'gpt-6-luna'],
  ['anthropic', 'claude-sonnet-5'],
  ['google-genai', 'gemini-flash-latest'],
  ['groq', 'openai/gpt-oss-120b'],
  ['mistralai', 'mistral-small-latest'],
  ['deepseek', 'deepseek-v4-flash'],
]

const localServers: readonly LocalServer[] = [
  { name: 'Ollama', url: 'http://127.0.0.1:11434' },
  { name: 'LM Studio', url: 'http://127.0.0.1:1234' },
  { name: 'vLLM', url: 'http://127.0.0.1:8000' },
  { name: 'llama.cpp', url: 'http://127.0.0.1:8080' },
]

export async function resolveAuto({
  env,
  open,
  servers = localServers,
  isInstalled = canImport,
  answerMsMax = 300,
}: AutoOptions): Promise<Auto> {
  const missing = (provider: string) => packagesOf(provider).filter((each) => !isInstalled(each))
  const hints: string[] = []
  for (const [provider, model] of keyed) {
    const { key } = providers[provider] as { key: string }
    if (!env[key]) continue
    const absent = missing(provider)
    if (absent.length > 0) hints.push(`${key} is set, but something is missing: npm install ${absent.join(' ')}`)
    else {
      try {
        return { model: await open(`${provider}:${model}`), reason: `${key} is set` }
      } catch (error) {
        hints.push(`${key} is set, but ${(error as Error).message}`)
      }
    }
  }
  const found = await findLocal(servers, answerMsMax)
  if (found !== undefined) {
    const reason = `${found.server.name} answers at ${found.server.url}`
    const absent = missing('openai').filter((each) => each !== 'langchain')
    if (absent.length === 0) return { model: await openLocal(found), reason }
    hints.push(`${reason}, but something is missing: npm install ${absent.join(' ')}`)
  }
  hints.push('no key in the environment and no local model server')
  return { model: await open('builtin:guide'), reason: hints[0] as string }
}

interface Found {
  readonly server: LocalServer
  readonly model: string
}

/** Becomes part of a model's name, and so of an event's. */
const isName = /^\P{Cc}{1,200}$/u

/** Models that local servers list but that cannot chat. */
const noChat = /embed|rerank|minilm|whisper|\b(bge|gte|e5|tts|clip)\b/i

/** Asks all at once; the first in the list that responds wins, however fast the others are. */
async function findLocal(servers: readonly LocalServer[], answerMsMax: number): Promise<Found | undefined> {
  const answers = await Promise.all(
    servers.map(async (server): Promise<Found | undefined> => {
      const model = await firstModel(server.url, answerMsMax)
      return model === undefined ? undefined : { server, model }
    }),
  )
  return answers.find((answer) => answer !== undefined)
}

/** Undefined for an absent server, and for one that does not respond with OpenAI's list. */
async function firstModel(url: string, answerMsMax: number): Promise<string | undefined> {
  try {
    const response = await fetch(`${url}/v1/models`, { signal: AbortSignal.timeout(answerMsMax), redirect: 'error' })
    const list = (await response.json()) as { object?: unknown; data?: unknown }
    if (!response.ok || list.object !== 'list' || !Array.isArray(list.data)) return undefined
    const names = list.data.map((entry: { id?: unknown }) => entry?.id)
    return names.find((name): name is string => typeof name === 'string' && isName.test(name) && !noChat.test(name))
  } catch {
    // Absent, too slow, or not JSON.
    return undefined
  }
}

async function openLocal({ server, model }: Found): Promise<Model> {
  const { ChatOpenAI } = await import('@langchain/openai')
  const chatModel = new ChatOpenAI({ model, apiKey: 'none', maxRetries: 1, configuration: { baseURL: `${server.url}/v1` } })
  return fromLangChain(chatModel as unknown as LangChainModel, `${server.name.toLowerCase().replaceAll(' ', '-')}:${model}`)
}
