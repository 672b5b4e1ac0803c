/** Models by LangChain's names, `provider:model`: says exactly what is missing before it tries. */
import { MillraceError } from '@millrace/protocol'
import { fromLangChain, type LangChainModel } from './langchain.ts'
import type { Model } from './model.ts'

interface Provider {
  readonly package: string
  /** The variable that holds its key; absent where it needs none, or finds it elsewhere. */
  readonly key?: string
}

/** LangChain's names for providers, and what each needs. */
export const providers: Readonly<Record<string, Provider>> = {
  anthropic: { package: '@langchain/anthropic', key: 'ANTHROPIC_API_KEY' },
  aws: { package: '@langchain/aws' },
  azure_openai: { package: '@langchain/openai', key: 'AZURE_OPENAI_API_KEY' },
  bedrock: { package: '@langchain/aws' },
  cerebras: { package: '@langchain/cerebras', key: 'CEREBRAS_API_KEY' },
  cohere: { package: '@langchain/cohere', key: 'COHERE_API_KEY' },
  deepseek: { package: '@langchain/deepseek', key: 'DEEPSEEK_API_KEY' },
  fireworks: { package: '@langchain/fireworks', key: 'FIREWORKS_API_KEY' },
  'google-genai': { package: '@langchain/google-genai', key: 'GOOGLE_API_KEY' },
  'google-vertexai': { package: '@langchain/google-vertexai' },
  groq: { package: '@langchain/groq', key: 'GROQ_API_KEY' },
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

/** Rejects with `model_not_found` for a provider that is none, and `model_unavailable` with what to install or set. */
export async function openLangChain(name: string, { env, isInstalled = canImport }: LangChainProviderOptions): Promise<Model> {
  const colon = name.indexOf(':')
  const [prefix, model] = [name.slice(0, colon), name.slice(colon + 1)]
  const provider = Object.hasOwn(providers, prefix) ? providers[prefix] : undefined
  if (provider === undefined || model === '') throw new MillraceError('model_not_found')
  const missing = ['langchain', '@langchain/core', provider.package].filter((each) => !isInstalled(each))
  if (missing.length > 0) throw unavailable(`${name} needs a package that is not installed: npm install ${missing.join(' ')}`)
  if (provider.key !== undefined && !env[provider.key])
    throw unavailable(`${name} needs a key: set ${provider.key} on the server.`)
  const { initChatModel } = await import('langchain')
  // Retries concern the request only, never a stream that has begun; six of them, the default, take minutes.
  const chatModel = await initChatModel(model, { modelProvider: prefix, maxRetries: 2 })
  return fromLangChain(chatModel as unknown as LangChainModel, name)
}

export function canImport(name: string): boolean {
  try {
    import.meta.resolve(name)
    return true
  } catch {
    // Not installed, which is the answer.
    return false
  }
}

function unavailable(message: string): MillraceError {
  return new MillraceError('model_unavailable', { message })
}
