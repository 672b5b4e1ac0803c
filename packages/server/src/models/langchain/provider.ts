/** Opens models by LangChain's names, `provider:model`, and says exactly what is missing before it tries. */
import { MillraceError } from '@millrace/protocol'
import type { Model } from '../model.ts'
import { fromLangChain, type LangChainModel } from './index.ts'

interface Provider {
  readonly package: string
  /** The variable with its key; absent if it needs none, or finds it elsewhere. */
  readonly key?: string
}

/** LangChain's names of providers, and what each needs. A test compares them with LangChain's own table. */
export const providers: Readonly<Record<string, Provider>> = {
  anthropic: { package: '@langchain/anthropic', key: 'ANTHROPIC_API_KEY' },
  aws: { package: '@langchain/aws' },
  azure_openai: { package: '@langchain/openai', key: 'AZURE_OPENAI_API_KEY' },
  bedrock: { package: '@langchain/aws' },
  cerebras: { package: '@langchain/cerebras', key: 'CEREBRAS_API_KEY' },
  cohere: { package: '@langchain/cohere', key: 'COHERE_API_KEY' },
  deepseek: { package: '@langchain/deepseek', key: 'DEEPSEEK_API_KEY' },
  fireworks: { package: '@langchain/fireworks', key: 'FIREWORKS_API_KEY' },
  google: { package: '@langchain/google' },
  'google-genai': { package: '@langchain/google-genai', key: 'GOOGLE_API_KEY' },
  'google-vertexai': { package: '@langchain/google-vertexai' },
  'google-vertexai-web': { package: '@langchain/google-vertexai-web' },
  groq: { package: '@langchain/groq', key: 'GROQ_API_KEY' },
  langsmith: { package: '@langchain/openai' },
  mistral: { package: '@langchain/mistralai', key: 'MISTRAL_API_KEY' },
  mistralai: { package: '@langchain/mistralai', key: 'MISTRAL_API_KEY' },
  ollama: { package: '@langchain/ollama' },
  openai: { package: '@langchain/openai', key: 'OPENAI_API_KEY' },
  perplexity: { package: '@langchain/perplexity', key: 'PERPLEXITY_API_KEY' },
  together: { package: '@langchain/together-ai', key: 'TOGETHER_AI_API_KEY' },
  xai: { package: '@langchain/xai', key: 'XAI_API_KEY' },
}

export interface LangChainProviderOptions {
  readonly env: NodeJS.ProcessEnv
  /** Whether a package can be imported; default asks Node. */
  readonly isInstalled?: (name: string) => boolean
}

/** Rejects with `model_not_found` for an unknown provider, and `model_unavailable` with what to install or set. */
export async function openLangChain(name: string, { env, isInstalled = canImport }: LangChainProviderOptions): Promise<Model> {
  const colon = name.indexOf(':')
  const [prefix, model] = [name.slice(0, colon), name.slice(colon + 1)]
  const provider = Object.hasOwn(providers, prefix) ? providers[prefix] : undefined
  if (provider === undefined || model === '') throw notFound(prefix)
  const missing = packagesOf(prefix).filter((each) => !isInstalled(each))
  if (missing.length > 0) throw unavailable(`${name} needs a package that is not installed: npm install ${missing.join(' ')}`)
  if (provider.key !== undefined && !env[provider.key])
    throw unavailable(`${name} needs a key: set ${provider.key} on the server.`)
  try {
    // The main entry of `langchain` loads its agents too: 0.6 s of imports instead of 0.3.
    const { initChatModel } = await import('langchain/chat_models/universal')
    // Retries apply to the request only, never to a stream that has started; the default of six takes minutes.
    const configurable = await initChatModel(model, { modelProvider: prefix, maxRetries: 2 })
    // Without its wrapper, which hides the model's own methods and adds a stream around its stream.
    return fromLangChain((await configurable._getModelInstance()) as unknown as LangChainModel, name)
  } catch (cause) {
    const message = `${name} could not be set up: ${provider.package} needs settings beside the key; see its documentation.`
    throw new MillraceError('model_unavailable', { message, cause })
  }
}

/** Every package that a provider needs. */
export function packagesOf(prefix: string): string[] {
  return ['langchain', '@langchain/core', (providers[prefix] as Provider).package]
}

export function canImport(name: string): boolean {
  try {
    import.meta.resolve(name)
    return true
  } catch {
    // Not installed.
    return false
  }
}

function notFound(prefix: string): MillraceError {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[-_]/g, '')
  const meant = Object.keys(providers).find((each) => each !== prefix && plain(each) === plain(prefix))
  return new MillraceError('model_not_found', meant === undefined ? {} : { message: `The provider is written ${meant}:…` })
}

function unavailable(message: string): MillraceError {
  return new MillraceError('model_unavailable', { message })
}
