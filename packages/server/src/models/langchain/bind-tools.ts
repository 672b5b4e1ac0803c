/** Gives tools to a LangChain model, as its package wants them. */
import type { ToolDefinition } from '../../tools/tool.ts'
import type { LangChainModel } from './chat-model.ts'
import { asFields, type Fields } from './provider-chunk.ts'

export interface Bound {
  readonly chatModel: LangChainModel
  /** Of each call. */
  readonly options: Fields
}

interface Bindable extends LangChainModel {
  bindTools(tools: readonly object[]): object
}

/** By the tools of a server, which are the same for all its runs: a package makes a new model for each binding. */
const known = new WeakMap<LangChainModel, WeakMap<readonly ToolDefinition[], Bound>>()

/** A model without tools of its own is asked without any. */
export function bindTools(chatModel: LangChainModel, tools: readonly ToolDefinition[] | undefined): Bound {
  if (tools === undefined || !isBindable(chatModel)) return { chatModel, options: {} }
  const ofModel = known.get(chatModel) ?? new WeakMap<readonly ToolDefinition[], Bound>()
  known.set(chatModel, ofModel)
  const bound = ofModel.get(tools) ?? bind(chatModel, tools)
  ofModel.set(tools, bound)
  return bound
}

function bind(chatModel: Bindable, tools: readonly ToolDefinition[]): Bound {
  const made = chatModel.bindTools(
    tools.map(({ name, description, input }) => ({ type: 'function', function: { name, description, parameters: input } })),
  )
  // Some packages make another model, others a wrapper that hides the model's own methods.
  if ('_llmType' in made) return { chatModel: made as LangChainModel, options: {} }
  const { bound = chatModel, config, kwargs } = made as { readonly bound?: LangChainModel; config?: unknown; kwargs?: unknown }
  return { chatModel: bound, options: { ...asFields(config), ...asFields(kwargs) } }
}

function isBindable(chatModel: LangChainModel): chatModel is Bindable {
  return 'bindTools' in chatModel && typeof chatModel.bindTools === 'function'
}
